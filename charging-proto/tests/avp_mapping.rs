//! The table of Diameter AVPs agrees with the `.proto` files, and leaves no AVP out that real peers use.

use std::collections::{BTreeSet, HashSet};

use prost::Message;
use prost_types::FileDescriptorSet;

const TABLE: &str = include_str!("../proto/tollkeeper/charging/v1/AVP_MAPPING.md");

/// (vendor, code) of the AVPs seen from or required by real credit-control peers, groups opened.
const SEEN: &[(u32, &[u32])] = &[
    (
        0,
        &[
            1, 11, 30, 33, 55, 258, 260, 263, 264, 268, 278, 279, 280, 282, 283, 284, 285, 293, 295, 296, 412, 413,
            414, 415, 416, 417, 418, 420, 421, 423, 427, 428, 430, 431, 432, 433, 434, 435, 436, 437, 438, 439, 443,
            444, 446, 448, 449, 450, 451, 452, 455, 456, 458, 461, 480, 485, 669,
        ],
    ),
    (
        10415,
        &[
            2, 3, 9, 10, 12, 13, 18, 21, 22, 23, 823, 829, 830, 831, 832, 833, 838, 841, 846, 847, 851, 862, 868, 869,
            870, 871, 872, 873, 874, 876, 877, 881, 1016, 1226, 1227, 1228, 1264, 2000, 2020, 2021, 2055,
        ],
    ),
    (2011, &[20300]),
];

struct Row<'a> {
    avp: &'a str,
    code: Option<u32>,
    vendor: u32,
    goes_to: &'a str,
}

fn rows() -> Vec<Row<'static>> {
    let body = TABLE.lines().filter(|line| line.starts_with('|')).skip(2);
    body.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [avp, code, vendor, goes_to, _how] = cells[..] else { panic!("not five cells: {line}") };
        let vendor = vendor.parse().unwrap_or_else(|_| panic!("vendor of {line}"));
        Row { avp, code: code.parse().ok(), vendor, goes_to }
    })
    .collect()
}

fn fields() -> HashSet<String> {
    let descriptors = FileDescriptorSet::decode(charging_proto::FILE_DESCRIPTOR_SET).expect("own descriptor set");
    let messages = descriptors.file.iter().flat_map(|file| &file.message_type);
    messages
        .flat_map(|message| message.field.iter().map(|field| format!("{}.{}", message.name(), field.name())))
        .collect()
}

#[test]
fn every_row_names_a_field_or_says_why_not() {
    let fields = fields();
    assert!(fields.contains("ChargingDataRequest.client_id"), "descriptor set has no fields");
    for Row { avp, goes_to, .. } in rows() {
        let named: Vec<&str> = goes_to.split('`').skip(1).step_by(2).collect();
        for field in &named {
            assert!(fields.contains(*field), "{avp} goes to {field}, which is in no .proto");
        }
        let reason = goes_to.strip_prefix("agent: ").or(goes_to.strip_prefix("ignored: "));
        assert!(!named.is_empty() || reason.is_some_and(|reason| !reason.is_empty()), "{avp} goes nowhere: {goes_to}");
    }
}

#[test]
fn no_avp_of_real_peers_is_left_out_or_listed_twice() {
    let mut listed = BTreeSet::new();
    for Row { avp, code, vendor, .. } in rows() {
        if let Some(code) = code {
            assert!(listed.insert((vendor, code)), "{avp} stands twice");
        }
    }
    for (vendor, codes) in SEEN {
        for code in *codes {
            assert!(listed.contains(&(*vendor, *code)), "AVP {code} of vendor {vendor} is not in the table");
        }
    }
}

#[test]
fn every_field_is_commented() {
    let descriptors = FileDescriptorSet::decode(charging_proto::FILE_DESCRIPTOR_SET).expect("own descriptor set");
    let mut seen = 0;
    for file in &descriptors.file {
        let comments = file.source_code_info.as_ref().map(|source| source.location.as_slice()).unwrap_or_default();
        let commented: HashSet<&[i32]> = comments
            .iter()
            .filter(|location| !location.leading_comments().trim().is_empty())
            .map(|location| location.path.as_slice())
            .collect();
        // Descriptor paths: 4 = message, 2 = its field; 5 = enum, 2 = its value; 6 = service, 2 = its method.
        let members = [
            (4, file.message_type.iter().map(|message| message.field.len()).collect::<Vec<_>>()),
            (5, file.enum_type.iter().map(|words| words.value.len()).collect()),
            (6, file.service.iter().map(|service| service.method.len()).collect()),
        ];
        for (kind, counts) in members {
            for (item, count) in (0..).zip(counts) {
                assert!(commented.contains([kind, item].as_slice()), "{}: item {kind}.{item}", file.name());
                for member in 0..i32::try_from(count).expect("few members") {
                    let path = [kind, item, 2, member];
                    assert!(commented.contains(path.as_slice()), "{}: no comment at {path:?}", file.name());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 200, "only {seen} members found");
}
