//! What an operator does on the data server.

use super::{StepDefinition, step};

pub(super) fn steps() -> Vec<StepDefinition> {
    vec![
        step!(
            Action,
            r"operator registers (\d+) certificates for (\w+), all valid from one moment",
            "Given operator registers 60 certificates for edp1, all valid from one moment",
            |world, given| {
                for n in 0..given.number::<u32>(0)? {
                    let text = format!(
                        "external_data_provider_id: {{{}.number}} subject_key_identifier: \"bulk {n}\" \
                         not_valid_before {{ seconds: 5 }} not_valid_after {{ seconds: 6 }} \
                         details {{ x509_der: \"der\" }}",
                        given.text(1)
                    );
                    let method = "Certificates.CreateCertificate";
                    super::certificates::must(world, crate::world::OPERATOR, method, &text).await?;
                }
                Ok(())
            }
        ),
        step!(
            Action,
            r"operator calls Measurements\.(BatchDeleteMeasurements|BatchCancelMeasurements) with (\d+) requests",
            "When operator calls Measurements.BatchCancelMeasurements with 1001 requests",
            |world, given| {
                let request =
                    "requests { external_measurement_consumer_id: 1 external_measurement_id: 1 } ";
                let text = request.repeat(given.number(1)?);
                let method = format!("Measurements.{}", given.text(0));
                Ok(world.call(crate::world::OPERATOR, &method, &text, None).await?)
            }
        ),
    ]
}
