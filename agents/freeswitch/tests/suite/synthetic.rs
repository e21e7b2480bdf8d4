//! Calls made of recorded events with other times and names.

use crate::recording::{Json, Recording};
use crate::stage::{Plan, Stage};

/// A call of account 1001, event by event, from the recording `20_park_auth_ok`.
pub struct Call {
    recording: Recording,
    pub unique_id: String,
    pub dialled: &'static str,
    pub created_ms: i64,
    pub answered_ms: Option<i64>,
    /// Put into every event; null takes a field away.
    pub further: Json,
}

/// 0.01 a second.
pub const GERMANY: &str = "491701234567";
/// 0.60 a minute and 0.05 for the connection.
pub const BRITAIN: &str = "442071234567";

impl Call {
    /// A call with a channel of that name.
    pub fn new(unique_id: &str) -> Self {
        Self {
            recording: Recording::load("20_park_auth_ok"),
            unique_id: unique_id.to_owned(),
            dialled: GERMANY,
            created_ms: 0,
            answered_ms: None,
            further: Json::new(),
        }
    }

    /// Its session.
    pub fn session(&self, run: &str) -> String {
        format!("fs1/{run}/{}000-{}", self.created_ms, self.unique_id)
    }

    /// An event of it, made now.
    pub fn event(&self, stage: &Stage, name: &str) -> Json {
        let mut event = self.recording.template(name);
        for left_over in ["variable_execute_on_answer", "variable_cgr_max_usage", "variable_cgr_notify"] {
            event.remove(left_over);
        }
        let micros = |ms: i64| (ms * 1000).to_string();
        let application = if name == "CHANNEL_PARK" { "park" } else { "bridge" };
        let hangup = if name == "CHANNEL_HANGUP_COMPLETE" { micros(stage.now()) } else { "0".to_owned() };
        let fields = [
            ("Unique-ID", self.unique_id.clone()),
            ("Core-UUID", stage.switch.state().core_uuid.clone()),
            ("Event-Date-Timestamp", micros(stage.now())),
            ("Caller-Channel-Created-Time", micros(self.created_ms)),
            ("Caller-Channel-Answered-Time", self.answered_ms.map_or("0".to_owned(), micros)),
            ("Caller-Channel-Hangup-Time", hangup),
            ("Caller-Destination-Number", self.dialled.to_owned()),
            ("variable_sip_req_user", self.dialled.to_owned()),
            ("variable_sip_call_id", format!("call-{}", self.unique_id)),
            ("variable_cgr_account", "1001".to_owned()),
            ("variable_current_application", application.to_owned()),
        ];
        event.extend(fields.map(|(field, value)| (field.to_owned(), value.into())));
        if name.starts_with("CHANNEL_HANGUP") {
            let fields = [("Hangup-Cause", "NORMAL_CLEARING"), ("variable_sip_hangup_disposition", "recv_bye")];
            event.extend(fields.map(|(field, value)| (field.to_owned(), value.into())));
        }
        event.extend(self.further.clone());
        event.retain(|_, value| !value.is_null());
        event
    }

    /// The switch tells it, and the agent does what it can without time.
    pub async fn says(&self, stage: &mut Stage, name: &str, fields: &[(&str, &str)]) {
        let mut event = self.event(stage, name);
        event.extend(fields.iter().map(|(field, value)| ((*field).to_owned(), (*value).into())));
        stage.switch.say(&event);
        stage.settle().await;
    }

    /// It waits for us.
    pub async fn parks(&mut self, stage: &mut Stage) {
        self.created_ms = stage.now();
        self.says(stage, "CHANNEL_PARK", &[]).await;
    }

    /// Until it was transferred: admitted or refused.
    pub async fn is_routed(&self, stage: &mut Stage) {
        let transfer = format!("uuid_transfer {} ", self.unique_id);
        stage.until("the transfer", |stage| !stage.said_of(&transfer).is_empty()).await;
        for _ in 0..4 {
            stage.settle().await;
        }
    }

    /// The callee answers now.
    pub async fn answers(&mut self, stage: &mut Stage) {
        self.answered_ms = Some(stage.now());
        self.says(stage, "CHANNEL_ANSWER", &[]).await;
    }

    /// Asked, admitted and answered.
    pub async fn connects(&mut self, stage: &mut Stage) {
        self.parks(stage).await;
        self.is_routed(stage).await;
        self.answers(stage).await;
    }

    /// Somebody hangs up now.
    pub async fn ends(&self, stage: &mut Stage, fields: &[(&str, &str)]) {
        self.says(stage, "CHANNEL_HANGUP", fields).await;
        self.says(stage, "CHANNEL_HANGUP_COMPLETE", fields).await;
    }

    /// The caller does.
    pub async fn hangs_up(&self, stage: &mut Stage) {
        self.ends(stage, &[]).await;
    }

    /// Simulated time goes on to `ms` after the answer.
    pub async fn talks_until(&self, stage: &mut Stage, ms: i64) {
        let wait = self.answered_ms.expect("answered") + ms - stage.now();
        stage.pass(u64::try_from(wait).expect("in the future")).await;
    }
}

/// A stage with the agent connected to `run-1`.
pub async fn stage(balance: &'static str, change: fn(&mut agent_freeswitch::FreeswitchConfig)) -> Stage {
    Stage::set(Plan { balance, change, begin_ms: 1_795_300_000_000 }).await
}
