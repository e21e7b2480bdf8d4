//! Against another port of libphonenumber, number by number.

use super::*;
use crate::tests::full;
use proptest::prelude::*;

fn expected_type(word: &str) -> Option<NumberType> {
    Some(match word {
        "MOBILE" => NumberType::Mobile,
        "FIXED_LINE" => NumberType::Landline,
        "VOIP" => NumberType::Voip,
        "TOLL_FREE" => NumberType::TollFree,
        "PREMIUM_RATE" => NumberType::PremiumRate,
        "SHARED_COST" => NumberType::SharedCost,
        "PERSONAL_NUMBER" => NumberType::Personal,
        "PAGER" => NumberType::Pager,
        "UAN" => NumberType::UniversalAccess,
        "VOICEMAIL" => NumberType::Voicemail,
        "FIXED_LINE_OR_MOBILE" | "UNKNOWN" => return None,
        other => panic!("{other} is no type"),
    })
}

#[test]
fn numbers_of_the_world_as_another_implementation_reads_them() {
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in include_str!("samples.tsv").lines().filter(|line| !line.starts_with('#')) {
        let [number, code, country, kind] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let expected = (kind != "-").then(|| Numbering {
            number_type: expected_type(kind),
            location: Location {
                country: Some(country).filter(|country| !["-", "001"].contains(country)).map(Into::into),
                calling_code: code.parse().ok(),
                ..Location::default()
            },
        });
        rows += 1;
        if look_up(&number.into()) != expected {
            wrong.push(line);
        }
    }
    assert!(rows > 300, "{rows} rows");
    assert_eq!(wrong, Vec::<&str>::new(), "of {rows}");
}

#[test]
fn what_is_no_international_number_is_not_looked_at() {
    for text in [
        "",
        "+",
        "110",
        "112",
        "911",
        "116117",
        "4930123456",
        "alice",
        "+49 30 123456",
        "+49a",
        "+0",
        "+1234567890123456",
    ] {
        assert_eq!(look_up(&text.into()), None, "{text}");
    }
}

fn described(calling: &str, called: &str) -> CallRecord {
    let mut record = full();
    record.calling_party = crate::CallingParty { number: Some(calling.into()), ..Default::default() };
    record.called_party = crate::CalledParty { number: Some(called.into()), ..Default::default() };
    Parties::of(&record).describe(&mut record);
    record
}

#[test]
fn international_is_another_country_or_none() {
    for (calling, called, international) in [
        ("+4930123456", "+4989123456", Some(false)),
        ("+4930123456", "+4915123456789", Some(false)),
        ("+4930123456", "+442071234567", Some(true)),
        ("+12125550123", "+14165550123", Some(true)),
        ("+12125550123", "+16175550123", Some(false)),
        ("+442071234567", "+441534123456", Some(true)),
        ("+77011234567", "+79161234567", Some(true)),
        ("+4930123456", "+80012345678", Some(true)),
        ("+80012345678", "+80012345679", None),
        ("+4930123456", "110", None),
        ("alice", "+4930123456", None),
    ] {
        assert_eq!(described(calling, called).called_party.international, international, "{calling} {called}");
    }
}

#[test]
fn both_parties_are_described() {
    let json =
        String::from_utf8(described("+4915123456789", "+442071838750").to_json().expect("encodes")).expect("UTF-8");
    for part in [
        r#""callingParty":{"number":"+4915123456789","numberType":"MOBILE","location":{"country":"DE","callingCode":49}}"#,
        r#""numberType":"LANDLINE","international":true,"location":{"country":"GB","callingCode":44}"#,
    ] {
        assert!(json.contains(part), "{part} is missing in {json}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_digits_are_looked_up_without_harm(number in "\\+?[0-9]{0,18}") {
        if let Some(found) = look_up(&number.as_str().into()) {
            let code = found.location.calling_code.expect("a code");
            prop_assert!(number.starts_with(&format!("+{code}")), "{number} {code}");
            prop_assert!(found.location.country.is_none_or(|country| country.len() == 2));
        }
    }
}
