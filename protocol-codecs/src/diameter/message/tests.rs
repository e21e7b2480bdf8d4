use super::*;
use crate::diameter::groups::*;
use crate::diameter::table::Table;

/// Every field of every table has a type that can hold what the dictionary says of its AVP.
#[test]
fn tables_agree_with_the_dictionary() {
    macro_rules! check {
        ($($name:ty),+ $(,)?) => {$({
            let (name, rows) = <$name as Table<'static>>::ROWS;
            for (definition, kinds) in rows {
                assert!(kinds.contains(&definition.kind), "{name}: {} is {:?}", definition.name, definition.kind);
            }
        })+};
    }
    check!(
        CapabilitiesExchangeRequest,
        CapabilitiesExchangeAnswer,
        DeviceWatchdogRequest,
        DeviceWatchdogAnswer,
        DisconnectPeerRequest,
        DisconnectPeerAnswer,
        CreditControlRequest,
        CreditControlAnswer,
        ReAuthRequest,
        ReAuthAnswer,
        AbortSessionRequest,
        AbortSessionAnswer,
        ErrorAnswer,
        UnitValue,
        CcMoney,
        RequestedServiceUnit,
        GrantedServiceUnit,
        UsedServiceUnit,
        CostInformation,
        RemainingBalance,
        MultipleServicesCreditControl,
        GsuPoolReference,
        Trigger,
        FinalUnitIndication,
        RedirectServer,
        VendorSpecificApplicationId,
        ExperimentalResult,
        SubscriptionId,
        UserEquipmentInfo,
        ServiceParameterInfo,
        ServiceInformation,
        PsInformation,
        ImsInformation,
        EventType,
        TimeStamps,
        ApplicationServerInformation,
        InterOperatorIdentifier,
        TrunkGroupId,
        SmsInformation,
        RecipientInfo,
        PartyAddress,
        AddressDomain,
        Interface,
        MmsInformation,
    );
}
