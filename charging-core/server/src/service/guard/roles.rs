//! Which role may call what. What is not listed is for operators.

use crate::config::Role;

/// Method, and who may call it besides an operator.
const METHODS: &[(&str, &[Role])] = &[
    ("/tollkeeper.charging.v1.ChargingService/Charge", &[Role::Agent]),
    ("/tollkeeper.charging.v1.ChargingService/ChargeStream", &[Role::Agent]),
    ("/tollkeeper.charging.v1.ChargingService/Notify", &[Role::Agent]),
    ("/tollkeeper.charging.v1.ChargingService/ConfirmNotifications", &[Role::Agent]),
    ("/tollkeeper.charging.v1.SessionService/List", &[Role::Agent, Role::ReadOnly]),
    ("/tollkeeper.charging.v1.SessionService/Get", &[Role::Agent, Role::ReadOnly]),
    ("/tollkeeper.charging.v1.SessionService/Release", &[]),
    ("/tollkeeper.charging.v1.AccountService/Create", &[]),
    ("/tollkeeper.charging.v1.AccountService/Get", &[Role::ReadOnly]),
    ("/tollkeeper.charging.v1.AccountService/List", &[Role::ReadOnly]),
    ("/tollkeeper.charging.v1.AccountService/TopUp", &[]),
    ("/tollkeeper.charging.v1.AccountService/Debit", &[]),
    ("/tollkeeper.charging.v1.AccountService/Block", &[]),
    ("/tollkeeper.charging.v1.AccountService/History", &[Role::ReadOnly]),
    ("/tollkeeper.charging.v1.AccountService/GetLimits", &[Role::ReadOnly]),
    ("/tollkeeper.charging.v1.AccountService/SetLimits", &[]),
    ("/tollkeeper.charging.v1.TariffService/Load", &[]),
    ("/tollkeeper.charging.v1.TariffService/Activate", &[]),
    ("/tollkeeper.charging.v1.TariffService/List", &[Role::ReadOnly]),
    ("/tollkeeper.charging.v1.TariffService/Quote", &[Role::ReadOnly]),
    ("/tollkeeper.charging.v1.TariffService/Explain", &[Role::ReadOnly]),
    ("/tollkeeper.charging.v1.TariffService/History", &[Role::ReadOnly]),
    ("/tollkeeper.charging.v1.TariffService/Compare", &[Role::ReadOnly]),
    ("/tollkeeper.charging.v1.TariffService/Show", &[Role::ReadOnly]),
];

pub(super) fn may_call(role: Role, path: &str) -> bool {
    let listed = METHODS.iter().find(|(method, _)| *method == path);
    role == Role::Operator || listed.is_some_and(|(_, roles)| roles.contains(&role))
}

/// Health, for probes that have no token.
pub(super) fn is_for_everybody(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every method of the API has its row: a new one is thought about.
    #[test]
    fn every_method_has_a_row_and_no_row_is_without_a_method() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charging-proto/proto/tollkeeper/charging/v1");
        let mut methods = Vec::new();
        for entry in std::fs::read_dir(folder).expect("the protos") {
            let text = std::fs::read_to_string(entry.expect("readable").path()).expect("text");
            let mut service = "";
            for line in text.lines().map(str::trim) {
                if let Some(rest) = line.strip_prefix("service ") {
                    service = rest.split([' ', '{']).next().unwrap_or_default();
                }
                if let Some(rest) = line.strip_prefix("rpc ") {
                    let method = rest.split('(').next().unwrap_or_default();
                    methods.push(format!("/tollkeeper.charging.v1.{service}/{method}"));
                }
            }
        }
        let mut rows: Vec<String> = METHODS.iter().map(|(method, _)| (*method).to_owned()).collect();
        methods.sort();
        rows.sort();
        assert_eq!(methods, rows);
    }

    #[test]
    fn an_agent_moves_no_money_but_by_charging() {
        let of_agent: Vec<&str> =
            METHODS.iter().map(|(method, _)| *method).filter(|method| may_call(Role::Agent, method)).collect();
        assert!(of_agent.iter().all(|method| !method.contains("AccountService") && !method.contains("TariffService")));
        assert!(!may_call(Role::Agent, "/tollkeeper.charging.v1.SessionService/Release"));
        assert!(!may_call(Role::ReadOnly, "/tollkeeper.charging.v1.ChargingService/Charge"));
        assert!(!may_call(Role::ReadOnly, "/not/known") && may_call(Role::Operator, "/not/known"));
    }
}
