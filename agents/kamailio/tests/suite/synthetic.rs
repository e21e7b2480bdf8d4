//! Calls made of recorded messages with other times and names.

use serde_json::Value;

use crate::double::{Greeting, seconds};
use crate::recording::{Json, Recording};
use crate::stage::{Plan, Stage};

/// A call of account 1001 to 491701234567, message by message, from the recording `answered`.
pub struct Call {
    recording: Recording,
    pub h_id: u32,
    pub run: String,
    pub answered: i64,
    /// Put into every message.
    pub further: Json,
}

pub const H_ENTRY: u32 = 5536;

impl Call {
    /// A call of the run `run-1`.
    pub fn new(h_id: u32) -> Self {
        Self { recording: Recording::load("answered"), h_id, run: "run-1".into(), answered: 0, further: Json::new() }
    }

    /// The id of its end.
    pub fn end_id(&self) -> String {
        format!("{}/{H_ENTRY}:{}", self.run, self.h_id)
    }

    /// A message of it, told now.
    pub fn message(&self, stage: &Stage, event: &str) -> Json {
        let mut message = self.recording.message(event);
        message.insert("run".into(), self.run.as_str().into());
        message.insert("h_id".into(), self.h_id.into());
        message.insert("callid".into(), format!("call-{}", self.h_id).into());
        let now = seconds(stage.now());
        message.insert("event_time".into(), now.as_str().into());
        message.insert("setup_time".into(), now.as_str().into());
        if message.contains_key("answer_time") {
            message.insert("answer_time".into(), seconds(self.answered).into());
        }
        if message.contains_key("end_id") {
            message.insert("end_id".into(), self.end_id().into());
            message.insert("end_time".into(), now.into());
        }
        message.extend(self.further.clone());
        message
    }

    /// Kamailio says it, and the agent does what it can without time.
    pub async fn says(&self, stage: &mut Stage, event: &str) {
        let message = self.message(stage, event);
        stage.kamailio.say(&message);
        stage.settle().await;
    }

    /// The same with other fields.
    pub async fn says_with(&self, stage: &mut Stage, event: &str, fields: &[(&str, Value)]) {
        let mut message = self.message(stage, event);
        message.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        stage.kamailio.say(&message);
        stage.settle().await;
    }

    /// Asked and answered.
    pub async fn connects(&mut self, stage: &mut Stage) {
        let before = stage.verdicts().len();
        self.says(stage, "AUTH_REQUEST").await;
        stage.until("the verdict", |stage| stage.verdicts().len() > before).await;
        self.answers(stage).await;
    }

    /// The callee answers now.
    pub async fn answers(&mut self, stage: &mut Stage) {
        self.answered = stage.now();
        self.says(stage, "CALL_START").await;
    }

    /// The caller hangs up now, and the agent acknowledges.
    pub async fn hangs_up(&self, stage: &mut Stage) {
        self.says(stage, "CALL_END").await;
        let end_id = self.end_id();
        let acked = |stage: &Stage| stage.kamailio.state().acks.iter().any(|(acked, _)| *acked == end_id);
        stage.until("CALL_END_ACK", acked).await;
    }
}

/// A stage with the agent connected to `run-1`.
pub async fn stage(balance: &'static str, change: fn(&mut agent_kamailio::KamailioConfig)) -> Stage {
    let mut stage = Stage::set(Plan { balance, change, begin: Recording::load("answered").begin() }).await;
    stage.kamailio.state().greeting = Greeting::Run("run-1".into());
    stage.connected().await;
    stage
}
