//! What a stream in memory answers, but for PutRecords: what a producer asks to find its shards, and what a reader asks.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::stream::{Refusal, Stream};
use super::wire::Answer;

/// Records that one GetRecords gives at most, and their octets of base64: the limits of the service, roughly.
const GET_RECORDS: usize = 10_000;
const GET_BYTES: usize = 10 * 1024 * 1024;

/// Answers `operation` (the part of `X-Amz-Target` behind the dot).
pub(super) fn answer(stream: &mut Stream, operation: &str, body: &[u8], now_ms: u64) -> Answer {
    let Ok(request) = serde_json::from_slice::<Value>(body) else {
        return Answer::error(400, "SerializationException", "the body is not JSON");
    };
    if request["StreamName"].as_str().is_some_and(|name| name != stream.name) {
        return not_found(request["StreamName"].as_str().unwrap_or_default());
    }
    let text = |key: &str| request[key].as_str().unwrap_or_default();
    match operation {
        "DescribeStreamSummary" => summary(stream),
        "ListShards" => list_shards(stream, request["ShardFilter"]["Type"] == "AT_LATEST"),
        "GetShardIterator" => shard_iterator(stream, text("ShardId"), text("ShardIteratorType")),
        "GetRecords" => {
            get_records(stream, text("ShardIterator"), request["Limit"].as_u64().unwrap_or(u64::MAX), now_ms)
        }
        "SplitShard" => match text("NewStartingHashKey").parse() {
            Ok(key) => resharded(stream.split(text("ShardToSplit"), key)),
            Err(_) => resharded(Err(Refusal::InvalidArgument)),
        },
        "MergeShards" => resharded(stream.merge(text("ShardToMerge"), text("AdjacentShardToMerge"))),
        _ => Answer::error(400, "UnknownOperationException", "this stream does not know that operation"),
    }
}

/// No such stream.
pub(super) fn not_found(name: &str) -> Answer {
    let message = format!("Stream {name} under account 000000000000 not found.");
    Answer::error(400, "ResourceNotFoundException", &message)
}

fn summary(stream: &Stream) -> Answer {
    let open = stream.shards.iter().filter(|shard| !shard.closed).count();
    let answer = json!({"StreamDescriptionSummary": {
        "StreamName": stream.name,
        "StreamARN": format!("arn:aws:kinesis:eu-central-1:000000000000:stream/{}", stream.name),
        "StreamStatus": "ACTIVE",
        "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": 1_700_000_000,
        "EnhancedMonitoring": [{"ShardLevelMetrics": []}],
        "EncryptionType": "NONE",
        "OpenShardCount": open,
        "ConsumerCount": 0,
    }});
    Answer::ok(answer.to_string().into_bytes())
}

fn list_shards(stream: &Stream, open_only: bool) -> Answer {
    let listed = stream.shards.iter().filter(|shard| !open_only || !shard.closed).map(|shard| {
        let mut listed = json!({
            "ShardId": shard.id,
            "HashKeyRange": {
                "StartingHashKey": shard.range.start().to_string(),
                "EndingHashKey": shard.range.end().to_string(),
            },
            "SequenceNumberRange": {"StartingSequenceNumber": shard.first_sequence},
        });
        for (key, parent) in ["ParentShardId", "AdjacentParentShardId"].iter().zip(&shard.parents) {
            listed[key] = json!(parent);
        }
        if let Some(last) = &shard.last_sequence {
            listed["SequenceNumberRange"]["EndingSequenceNumber"] = json!(last);
        }
        listed
    });
    Answer::ok(json!({"Shards": listed.collect::<Vec<_>>()}).to_string().into_bytes())
}

fn shard_iterator(stream: &Stream, id: &str, kind: &str) -> Answer {
    let Some(shard) = stream.shards.iter().find(|shard| shard.id == id) else {
        return Answer::error(400, "ResourceNotFoundException", "no such shard");
    };
    let offset = match kind {
        "TRIM_HORIZON" => 0,
        "LATEST" => shard.records.len(),
        _ => return Answer::error(400, "ValidationException", "an iterator begins at TRIM_HORIZON or LATEST here"),
    };
    Answer::ok(json!({"ShardIterator": format!("{id}:{offset}")}).to_string().into_bytes())
}

fn get_records(stream: &Stream, iterator: &str, limit: u64, now_ms: u64) -> Answer {
    let place = iterator.split_once(':').and_then(|(id, offset)| Some((id, offset.parse::<usize>().ok()?)));
    let found = place.and_then(|(id, offset)| Some((stream.shards.iter().find(|shard| shard.id == id)?, offset)));
    let Some((shard, offset)) = found else {
        return Answer::error(400, "InvalidArgumentException", "that is no iterator of this stream");
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(GET_RECORDS);
    let rest = shard.records.get(offset..).unwrap_or_default();
    let mut bytes = 0;
    let given = rest.iter().take(limit).take_while(|record| {
        bytes += record.data.len();
        bytes <= GET_BYTES
    });
    let (mut records, mut count) = (String::new(), 0);
    for record in given {
        let seconds = record.arrived_ms / 1000;
        // A key is the client's own text; the rest is ours.
        let key = Value::from(&*record.partition_key);
        let comma = if count == 0 { "" } else { "," };
        let written = write!(
            records,
            "{comma}{{\"SequenceNumber\":\"{}\",\"ApproximateArrivalTimestamp\":{seconds}.{:03},\"Data\":\"{}\",\
             \"PartitionKey\":{key}}}",
            record.sequence_number,
            record.arrived_ms % 1000,
            record.data,
        );
        written.expect("invariant: a String takes all text");
        count += 1;
    }
    let next = offset + count;
    let behind_ms = shard.records.get(next).map_or(0, |record| now_ms.saturating_sub(record.arrived_ms).max(1));
    // A closed shard ends: null, as the service says it.
    let ended = shard.closed && next >= shard.records.len();
    let next = if ended { Value::Null } else { json!(format!("{}:{next}", shard.id)) };
    let body = format!("{{\"Records\":[{records}],\"NextShardIterator\":{next},\"MillisBehindLatest\":{behind_ms}}}");
    Answer::ok(body.into_bytes())
}

fn resharded(outcome: Result<(), Refusal>) -> Answer {
    match outcome {
        Ok(()) => Answer::ok(b"{}".to_vec()),
        Err(Refusal::NoSuchShard) => Answer::error(400, "ResourceNotFoundException", "no such shard"),
        Err(Refusal::InvalidArgument) => {
            Answer::error(400, "InvalidArgumentException", "closed, not adjacent, or the hash key is not within")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(stream: &mut Stream, operation: &str, request: Value) -> Value {
        let answer = answer(stream, operation, request.to_string().as_bytes(), 5000);
        serde_json::from_slice(&answer.body).expect("answers are JSON")
    }

    #[test]
    fn a_reader_gets_everything_and_the_end_of_a_closed_shard() {
        let mut stream = Stream::new("s", 1, None, true);
        for (number, data) in ["YQ==", "Yg==", "Yw=="].into_iter().enumerate() {
            stream.accept(0, &format!("key \"{number}\""), data, 4000 + number as u64);
        }
        let id = ask(&mut stream, "ListShards", json!({"StreamName": "s"}))["Shards"][0]["ShardId"].clone();
        let begin = json!({"StreamName": "s", "ShardId": id, "ShardIteratorType": "TRIM_HORIZON"});
        let iterator = ask(&mut stream, "GetShardIterator", begin)["ShardIterator"].clone();
        let two = ask(&mut stream, "GetRecords", json!({"ShardIterator": iterator, "Limit": 2}));
        assert_eq!(two["Records"][1]["PartitionKey"], "key \"1\"");
        assert_eq!((two["Records"].as_array().map(Vec::len), &two["MillisBehindLatest"]), (Some(2), &json!(998)));
        stream.split("shardId-000000000000", 1000).expect("within");
        let rest = ask(&mut stream, "GetRecords", json!({"ShardIterator": two["NextShardIterator"]}));
        assert_eq!((&rest["Records"][0]["Data"], &rest["NextShardIterator"]), (&json!("Yw=="), &Value::Null));
        let listed = ask(&mut stream, "ListShards", json!({"StreamName": "s"}));
        assert_eq!(listed["Shards"][2]["ParentShardId"], id);
        assert_eq!(listed["Shards"][2]["HashKeyRange"]["StartingHashKey"], "1000");
        let open = ask(&mut stream, "ListShards", json!({"StreamName": "s", "ShardFilter": {"Type": "AT_LATEST"}}));
        assert_eq!(open["Shards"].as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn what_it_does_not_know_is_an_error_of_the_right_name() {
        let mut stream = Stream::new("s", 1, None, true);
        let rows = [
            ("ListShards", json!({"StreamName": "t"}), "ResourceNotFoundException"),
            ("MakeTea", json!({}), "UnknownOperationException"),
            ("GetRecords", json!({"ShardIterator": "x"}), "InvalidArgumentException"),
            ("GetShardIterator", json!({"ShardId": "x"}), "ResourceNotFoundException"),
            ("SplitShard", json!({"ShardToSplit": "x", "NewStartingHashKey": "1"}), "ResourceNotFoundException"),
        ];
        for (operation, request, expected) in rows {
            assert_eq!(ask(&mut stream, operation, request)["__type"], expected, "{operation}");
        }
        assert_eq!(answer(&mut stream, "ListShards", b"{", 0).status, 400);
    }
}
