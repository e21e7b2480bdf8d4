//! What is to be played.

use std::time::Duration;

use super::profile::Profile;

/// A load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadPlan {
    /// Whom we play.
    pub profile: Profile,
    /// Sessions at once, over all connections.
    pub sessions: u32,
    /// Requests a second, over all connections.
    pub rate: u32,
    /// Updates of a session between its first and its last request.
    pub updates: u32,
    /// How long sessions are begun and go on; then they are ended.
    pub duration: Duration,
    /// Sessions altogether; absent: as many as fit into the duration.
    pub total: Option<u64>,
    /// Connections. With more than one each has an Origin-Host of its own: a server takes one connection of a host.
    pub connections: u32,
    /// Groups of a session; empty: the profile's own.
    pub rating_groups: Vec<u32>,
    /// Asked for and used with each request, in octets, seconds or messages; 0: as the server sees fit.
    pub units: u64,
    /// E.164 number of the first subscriber, digits only.
    pub first_subscriber: u64,
    /// Subscribers, with numbers one after the other.
    pub subscribers: u32,
    /// E.164 number that is called, digits only.
    pub called: Box<str>,
    /// Our Origin-Host.
    pub origin_host: Box<str>,
    /// Our Origin-Realm.
    pub origin_realm: Box<str>,
    /// Realm of the server.
    pub destination_realm: Box<str>,
    /// Host of the server; absent: any of its realm.
    pub destination_host: Option<Box<str>>,
    /// Service-Context-Id; absent: the profile's own.
    pub context: Option<Box<str>>,
    /// Tx: how long an answer may take before the request is sent again.
    pub tx: Duration,
    /// How often a request is sent before it counts as lost.
    pub attempts: u32,
    /// Every so many requests one is sent twice, the second time with the T bit; 0: none.
    pub copies: u32,
}

impl LoadPlan {
    /// What is wrong with the values: the option, and the remedy.
    pub fn faults(&self) -> Vec<(&'static str, String)> {
        let mut faults = Vec::new();
        let counts = [
            ("sessions", self.sessions),
            ("rate", self.rate),
            ("connections", self.connections),
            ("subscribers", self.subscribers),
            ("attempts", self.attempts),
        ];
        for (name, _) in counts.iter().filter(|(_, count)| *count == 0) {
            faults.push((*name, "must be at least 1".to_owned()));
        }
        if self.connections > self.sessions {
            let text = format!("{} sessions are too few for {} connections", self.sessions, self.connections);
            faults.push(("sessions", text));
        }
        if self.rate < self.connections {
            faults.push(("rate", "must be at least one request a second for each connection".to_owned()));
        }
        if self.tx.is_zero() {
            faults.push(("tx", "must be above zero".to_owned()));
        }
        if self.profile == Profile::RoVoice && self.units > SECONDS_MAX {
            faults.push(("units", format!("are seconds of a call: at most {SECONDS_MAX}")));
        }
        for (name, text) in [("origin-host", &self.origin_host), ("origin-realm", &self.origin_realm)] {
            if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                faults.push((name, "must be a host name, such as pgw.example.net".to_owned()));
            }
        }
        faults
    }

    /// The Origin-Host of a connection: with several connections a number stands behind the first label.
    pub fn host_of(&self, connection: u32) -> Box<str> {
        if self.connections == 1 {
            return self.origin_host.clone();
        }
        let number = connection.saturating_add(1);
        match self.origin_host.split_once('.') {
            Some((label, domain)) => format!("{label}-{number}.{domain}").into(),
            None => format!("{}-{number}", self.origin_host).into(),
        }
    }

    /// How many of the sessions live on a connection.
    pub fn sessions_of(&self, connection: u32) -> u32 {
        let (each, rest) = (self.sessions / self.connections.max(1), self.sessions % self.connections.max(1));
        each.saturating_add(u32::from(connection < rest))
    }

    /// The groups of a session.
    pub fn groups(&self) -> &[u32] {
        if self.rating_groups.is_empty() { self.profile.rating_groups() } else { &self.rating_groups }
    }
}

/// A call of a month.
const SECONDS_MAX: u64 = 2_592_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_sessions_are_dealt_out() {
        let mut plan = LoadPlan { sessions: 10, connections: 1, ..LoadPlan::for_tests(Profile::GyData) };
        assert_eq!((&*plan.host_of(0), plan.sessions_of(0)), ("pgw.example.net", 10));
        plan.connections = 3;
        let dealt: Vec<(Box<str>, u32)> = (0..3).map(|index| (plan.host_of(index), plan.sessions_of(index))).collect();
        let expected = [("pgw-1.example.net", 4), ("pgw-2.example.net", 3), ("pgw-3.example.net", 3)];
        assert_eq!(dealt, expected.map(|(host, sessions)| (Box::from(host), sessions)));
        plan.origin_host = "pgw".into();
        assert_eq!(&*plan.host_of(1), "pgw-2");
    }

    #[test]
    fn faults_name_the_option() {
        let sound = LoadPlan::for_tests(Profile::RoVoice);
        assert_eq!(sound.faults(), []);
        type Change = fn(&mut LoadPlan);
        let rows: [(&str, Change); 6] = [
            ("rate", |plan| plan.rate = 0),
            ("sessions", |plan| plan.sessions = 0),
            ("connections", |plan| plan.connections = 0),
            ("tx", |plan| plan.tx = Duration::ZERO),
            ("units", |plan| plan.units = SECONDS_MAX + 1),
            ("origin-host", |plan| plan.origin_host = "a b".into()),
        ];
        for (name, change) in rows {
            let mut plan = sound.clone();
            change(&mut plan);
            assert!(plan.faults().iter().any(|(option, _)| *option == name), "{name}: {:?}", plan.faults());
        }
    }

    impl LoadPlan {
        pub(in crate::load) fn for_tests(profile: Profile) -> Self {
            Self {
                profile,
                sessions: 1,
                rate: 1,
                updates: 2,
                duration: Duration::from_secs(1),
                total: None,
                connections: 1,
                rating_groups: Vec::new(),
                units: profile.units(),
                first_subscriber: 49_170,
                subscribers: 1,
                called: "49301234567".into(),
                origin_host: "pgw.example.net".into(),
                origin_realm: "example.net".into(),
                destination_realm: "example.net".into(),
                destination_host: None,
                context: None,
                tx: Duration::from_secs(10),
                attempts: 3,
                copies: 0,
            }
        }
    }
}
