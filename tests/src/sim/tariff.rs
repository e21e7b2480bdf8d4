//! The tariff of the simulation as the files of a plan. The auditor has the same one in numbers of its own.

use std::path::Path;
use std::sync::Arc;

use charging_server::{TariffConfig, TariffPricing, Tariffs};

/// The one tenant.
pub(crate) const TENANT: &str = "example";

/// The core's prices, from files written to `folder`; one for all seeds of a run.
///
/// # Errors
/// When the folder cannot be used.
pub fn pricing(folder: &Path) -> anyhow::Result<Arc<TariffPricing>> {
    let plan = folder.join("tariff");
    std::fs::create_dir_all(&plan)?;
    let files = [
        ("Destinations.csv", "DE,49\nGB,44\nFR,33\n"),
        (
            "Rates.csv",
            "SEC,0,0.01,1s,1s,0s\nMIN,0.05,0.60,60s,60s,0s\nFINE,0,0.0007,1s,1s,0s\nMB10,0,0.10,1000000,1000000,0\n\
             MB1,0,0.01,1000000,1000000,0\nSMS,0,0.08,1,1,0\n",
        ),
        (
            "DestinationRates.csv",
            "DR,DE,SEC,*up,4,0,\nDR,GB,MIN,*up,4,0,\nDR,FR,FINE,*up,2,0,\nDRD,*any,MB10,*up,4,0,\nDRC,*any,MB1,*up,4,0,\n\
             DRS,*any,SMS,*up,4,0,\n",
        ),
        ("RatingPlans.csv", "RP,DR,*any,10\nRPD,DRD,*any,10\nRPC,DRC,*any,10\nRPS,DRS,*any,10\n"),
        (
            "RatingProfiles.csv",
            "example,call,*any,,RP,\nexample,data,*any,,RPD,\nexample,data_cheap,*any,,RPC,\nexample,sms,*any,,RPS,\n",
        ),
    ];
    for (name, text) in files {
        std::fs::write(plan.join(name), text)?;
    }
    let config = TariffConfig { folder: Some(plan), ..TariffConfig::default() };
    Ok(Arc::new(TariffPricing::new(Arc::new(Tariffs::open(&folder.join("kept"), &config, 0)?))))
}
