//! Amounts on the wire: digits and an exponent of ten (RFC 8506 section 8.8), currencies by number (ISO 4217).

use protocol_codecs::diameter::UnitValue;
use types::{Currency, Money};

/// The amount; absent beyond what we count.
pub fn amount(value: &UnitValue) -> Option<Money> {
    let power = value.exponent.unwrap_or(0).checked_add(i32::try_from(Money::DECIMALS).ok()?)?;
    let digits = i128::from(value.value_digits);
    let nanos = if power >= 0 {
        digits.checked_mul(10_i128.checked_pow(power.unsigned_abs())?)?
    } else {
        // More decimals than a nano unit has: none of ours.
        digits.checked_div(10_i128.checked_pow(power.unsigned_abs()).unwrap_or(i128::MAX))?
    };
    (nanos.unsigned_abs() <= Money::LIMIT.nanos().unsigned_abs()).then(|| Money::from_nanos(nanos))
}

/// The amount with as few digits as it needs; absent if it does not fit even so.
pub fn unit_value(amount: Money) -> Option<UnitValue> {
    let (mut digits, mut exponent) = (amount.nanos(), -i32::try_from(Money::DECIMALS).ok()?);
    while exponent < 0 && digits % 10 == 0 {
        digits /= 10;
        exponent += 1;
    }
    Some(UnitValue { value_digits: i64::try_from(digits).ok()?, exponent: (exponent != 0).then_some(exponent) })
}

/// ISO 4217 numeric; absent: one we have no number for.
pub fn currency_code(currency: Currency) -> Option<u32> {
    let letters = currency.as_str();
    let row = CURRENCIES.binary_search_by(|(known, _)| (*known).cmp(letters)).ok()?;
    CURRENCIES.get(row).map(|(_, number)| *number)
}

/// ISO 4217, sorted by letters.
#[rustfmt::skip]
const CURRENCIES: &[(&str, u32)] = &[
    ("AED", 784), ("AFN", 971), ("ALL", 8), ("AMD", 51), ("AOA", 973), ("ARS", 32), ("AUD", 36), ("AWG", 533),
    ("AZN", 944), ("BAM", 977), ("BBD", 52), ("BDT", 50), ("BGN", 975), ("BHD", 48), ("BIF", 108), ("BMD", 60),
    ("BND", 96), ("BOB", 68), ("BRL", 986), ("BSD", 44), ("BTN", 64), ("BWP", 72), ("BYN", 933), ("BZD", 84),
    ("CAD", 124), ("CDF", 976), ("CHF", 756), ("CLP", 152), ("CNY", 156), ("COP", 170), ("CRC", 188), ("CUP", 192),
    ("CVE", 132), ("CZK", 203), ("DJF", 262), ("DKK", 208), ("DOP", 214), ("DZD", 12), ("EGP", 818), ("ERN", 232),
    ("ETB", 230), ("EUR", 978), ("FJD", 242), ("FKP", 238), ("GBP", 826), ("GEL", 981), ("GHS", 936), ("GIP", 292),
    ("GMD", 270), ("GNF", 324), ("GTQ", 320), ("GYD", 328), ("HKD", 344), ("HNL", 340), ("HTG", 332), ("HUF", 348),
    ("IDR", 360), ("ILS", 376), ("INR", 356), ("IQD", 368), ("IRR", 364), ("ISK", 352), ("JMD", 388), ("JOD", 400),
    ("JPY", 392), ("KES", 404), ("KGS", 417), ("KHR", 116), ("KMF", 174), ("KPW", 408), ("KRW", 410), ("KWD", 414),
    ("KYD", 136), ("KZT", 398), ("LAK", 418), ("LBP", 422), ("LKR", 144), ("LRD", 430), ("LSL", 426), ("LYD", 434),
    ("MAD", 504), ("MDL", 498), ("MGA", 969), ("MKD", 807), ("MMK", 104), ("MNT", 496), ("MOP", 446), ("MRU", 929),
    ("MUR", 480), ("MVR", 462), ("MWK", 454), ("MXN", 484), ("MYR", 458), ("MZN", 943), ("NAD", 516), ("NGN", 566),
    ("NIO", 558), ("NOK", 578), ("NPR", 524), ("NZD", 554), ("OMR", 512), ("PAB", 590), ("PEN", 604), ("PGK", 598),
    ("PHP", 608), ("PKR", 586), ("PLN", 985), ("PYG", 600), ("QAR", 634), ("RON", 946), ("RSD", 941), ("RUB", 643),
    ("RWF", 646), ("SAR", 682), ("SBD", 90), ("SCR", 690), ("SDG", 938), ("SEK", 752), ("SGD", 702), ("SHP", 654),
    ("SLE", 925), ("SOS", 706), ("SRD", 968), ("SSP", 728), ("STN", 930), ("SVC", 222), ("SYP", 760), ("SZL", 748),
    ("THB", 764), ("TJS", 972), ("TMT", 934), ("TND", 788), ("TOP", 776), ("TRY", 949), ("TTD", 780), ("TWD", 901),
    ("TZS", 834), ("UAH", 980), ("UGX", 800), ("USD", 840), ("UYU", 858), ("UZS", 860), ("VES", 928), ("VND", 704),
    ("VUV", 548), ("WST", 882), ("XAF", 950), ("XCD", 951), ("XDR", 960), ("XOF", 952), ("XPF", 953), ("YER", 886),
    ("ZAR", 710), ("ZMW", 967),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_come_and_go() {
        for (digits, exponent, text) in [
            (8, Some(-2), "0.08"),
            (108, Some(-2), "1.08"),
            (5, None, "5"),
            (5, Some(3), "5000"),
            (-15, Some(-1), "-1.5"),
            (0, None, "0"),
        ] {
            let value = UnitValue { value_digits: digits, exponent };
            let money: Money = text.parse().expect("an amount");
            assert_eq!(amount(&value), Some(money), "{text}");
            assert_eq!(unit_value(money).and_then(|value| amount(&value)), Some(money), "{text}");
        }
        for (digits, exponent) in [(1, Some(i32::MAX)), (i64::MAX, Some(0)), (1, Some(30))] {
            assert_eq!(amount(&UnitValue { value_digits: digits, exponent }), None, "{digits} {exponent:?}");
        }
        let crumbs = UnitValue { value_digits: i64::MAX, exponent: Some(i32::MIN) };
        assert_eq!(amount(&crumbs), Some(Money::ZERO));
    }

    #[test]
    fn currencies_are_sorted_and_found() {
        assert!(CURRENCIES.is_sorted_by_key(|(letters, _)| *letters));
        let code = |letters: &str| currency_code(letters.parse().expect("a currency"));
        assert_eq!((code("EUR"), code("AED"), code("ZMW"), code("XXX")), (Some(978), Some(784), Some(967), None));
    }
}
