//! One JSON object a line: time, level, target, the event's fields, and the spans it stands in, outermost first.
//!
//! An error is written with all its causes, `outer: inner: innermost`: the cause is what an operator needs, and the
//! formatter of `tracing-subscriber` writes the outermost only.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Debug};

use serde::Serialize;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

pub(super) struct JsonLines;

/// The fields of a span, written once, when it begins: `,"name":value` each.
pub(super) struct SpanFields;

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, mut writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line::default();
        fields.record(&mut line);
        writer.write_str(&line.text())
    }
}

impl<S> FormatEvent<S, SpanFields> for JsonLines
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, SpanFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        line.put("timestamp", &time);
        line.put("level", event.metadata().level().as_str());
        line.put("target", event.metadata().target());
        event.record(&mut line);
        let text = line.text();
        write!(writer, "{{{}", text.strip_prefix(',').unwrap_or(&text))?;
        let mut before = ",\"spans\":[";
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<SpanFields>>().map(|fields| fields.fields.as_str());
            write!(writer, "{before}{{\"name\":\"{}\"{}}}", span.name(), fields.unwrap_or_default())?;
            before = ",";
        }
        let spans_end = if before == "," { "]" } else { "" };
        writeln!(writer, "{spans_end}}}")
    }
}

/// Fields of an object, with a comma before each.
#[derive(Default)]
struct Line {
    json: Vec<u8>,
}

impl Line {
    fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.json.push(b',');
        self.write(name);
        self.json.push(b':');
        self.write(value);
    }

    /// What is logged are texts, numbers and truth values: nothing that has no JSON.
    fn write(&mut self, value: &(impl Serialize + ?Sized)) {
        let written = serde_json::to_writer(&mut self.json, value);
        debug_assert!(written.is_ok(), "{written:?}");
    }

    fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.json)
    }
}

impl Visit for Line {
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field.name(), &chain(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), &value);
    }
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex, PoisonError};

    use serde_json::{Map, Value};
    use tracing::{info_span, warn};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot connect to \"k1\"")]
    struct Outer(#[source] io::Error);

    #[test]
    fn a_line_has_causes_fields_and_spans() {
        let written = Written::default();
        let lines = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .fmt_fields(SpanFields)
            .event_format(JsonLines)
            .with_writer(move || lines.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let call = info_span!("call", session_id = "s/1");
            let _call = call.enter();
            let _charge = info_span!("charge", request_number = 2_u32).entered();
            let error = Outer(io::Error::new(io::ErrorKind::ConnectionRefused, "refused\nby the peer"));
            warn!(error = &error as &dyn Error, port = 8022_u16, up = false, "no connection");
        });
        let text = String::from_utf8(written.0.lock().expect("not poisoned").clone()).expect("UTF-8");
        assert_eq!(text.lines().count(), 1, "{text}");
        let mut line: Map<String, Value> = serde_json::from_str(&text).expect("a JSON object");
        assert!(text.starts_with("{\"timestamp\":\"2"), "{text}");
        line.remove("timestamp");
        let expected = serde_json::json!({
            "level": "WARN", "target": module_path!(), "message": "no connection", "port": 8022, "up": false,
            "error": "cannot connect to \"k1\": refused\nby the peer",
            "spans": [{"name": "call", "session_id": "s/1"}, {"name": "charge", "request_number": 2}],
        });
        assert_eq!(Value::from(line), expected);
    }
}
