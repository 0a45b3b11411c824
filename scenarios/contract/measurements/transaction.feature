Feature: Creating a measurement: rules inside the transaction

  @contract-1.5.11/1 @contract-1.0.11/MEASUREMENT_CONSUMER_NOT_FOUND @contract-1.0.12/CreateMeasurement
  Scenario: step 1, the consumer exists
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp2.root_skid}" principal_resource_name: "measurementConsumers/AAAAAAAAAZQ" }
      """
    And all 2 replicas are restarted
    When edp2 creates a reach measurement with edp1, where
      | parent                                       | "measurementConsumers/AAAAAAAAAZQ"                          |
      | measurement.measurement_consumer_certificate | "measurementConsumers/AAAAAAAAAZQ/certificates/AAAAAAAAAZQ" |
    Then the call fails with NOT_FOUND and reason MEASUREMENT_CONSUMER_NOT_FOUND
    And the error domain is "halo.wfanet.org"
    And the error metadata is
      | measurementConsumer | measurementConsumers/AAAAAAAAAZQ |

  @contract-1.5.11/3 @contract-1.6.1 @contract-1.0.11/CERTIFICATE_IS_INVALID
  Scenario Outline: step 3, the named certificate of the consumer is valid
    Given mc1 has a new certificate called second, valid from day <from> to day <to>
    And mc1 registers its certificate second
    And mc1's certificate called second is in state <state>
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1.second}" |
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    And the error metadata is empty

    Examples:
      | case          | from | to | state                        |
      | hold          | -1   | 30 | HOLD                         |
      | revoked       | -1   | 30 | REVOKED                      |
      | expired       | -20  | -1 | REVOCATION_STATE_UNSPECIFIED |
      | not-yet-valid | 1    | 30 | REVOCATION_STATE_UNSPECIFIED |

  @contract-1.5.11/3
  Scenario: any valid certificate of the consumer will do
    Given mc1 has a new certificate called second
    And mc1 registers its certificate second
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1.second}" |
    Then the call succeeds
    And the response has measurement_consumer_certificate: {mc1.second}

  @contract-1.6.1
  Scenario: a hold that was released leaves the certificate valid
    Given mc1's certificate is in state HOLD
    When mc1 changes the certificate mc1.certificate by release
    And mc1 creates a reach measurement with edp1
    Then the call succeeds

  @contract-1.5.11/5
  Scenario Outline: step 5, the current public-key certificate of each provider is valid
    Given edp2's certificate is in state <state>
    When mc1 creates a reach measurement with <providers>
    Then the call <outcome>

    @contract-1.6.1
    Examples:
      | case             | state                        | providers     | outcome                                                            |
      | hold             | HOLD                         | edp1 and edp2 | fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID   |
      | revoked          | REVOKED                      | edp1 and edp2 | fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID   |
      | good             | REVOCATION_STATE_UNSPECIFIED | edp1 and edp2 | succeeds                                                           |

    Examples:
      | case             | state                        | providers     | outcome                                                            |
      | of-another       | REVOKED                      | edp1          | succeeds                                                           |

  @contract-1.5.11/5 @contract-1.6.4
  Scenario: expiry alone makes a provider's certificate invalid, and nothing else happens
    Given edp1 has a new certificate called short, valid from day -1 to day 10
    And edp1 registers its certificate short
    And edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate short
    And mc1 has a direct reach measurement called m with edp1
    When the clock moves forward by 11 days
    Then mc1 sees its measurement m in state AWAITING_REQUISITION_FULFILLMENT
    When mc1 creates a reach measurement with edp1
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID

  @contract-1.5.11/5
  Scenario: a provider's other certificates do not matter
    Given edp1 has a new certificate called second
    And edp1 registers its certificate second
    And edp1's certificate second is revoked
    When mc1 creates a reach measurement with edp1
    Then the call succeeds

  @contract-1.5.11/6 @contract-1.0.11/CERTIFICATE_NOT_FOUND
  Scenario: step 6, the named certificate of the consumer exists
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1}/certificates/AAAAAAAAAZQ" |
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_NOT_FOUND
    And the error metadata is
      | measurementConsumerCertificate | {mc1}/certificates/AAAAAAAAAZQ |

  @contract-1.5.11/5 @contract-1.5.11/6
  Scenario: a bad provider certificate comes before an unknown one of the consumer
    Given edp1's certificate is in state REVOKED
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1}/certificates/AAAAAAAAAZQ" |
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID

  @contract-1.5.11/7
  Scenario Outline: step 7, a required Duchy is active
    Given the Duchy id list is
      """
      duchies { external_duchy_id: "aggregator" internal_duchy_id: 1 active_start_time { seconds: 1 } active_end_time { seconds: 2 } }
      duchies { external_duchy_id: "worker1" internal_duchy_id: 2 active_start_time { seconds: 1 } }
      duchies { external_duchy_id: "worker2" internal_duchy_id: 3 active_start_time { seconds: 1 } }
      """
    And all 2 replicas are restarted
    When mc1 creates a reach measurement with <providers>
    Then the call <outcome>

    @contract-1.5.16 @contract-1.0.11/DUCHY_NOT_ACTIVE
    Examples:
      | case   | providers     | outcome                                                      |
      | mpc    | edp1 and edp2 | fails with FAILED_PRECONDITION and reason DUCHY_NOT_ACTIVE   |

    Examples:
      | case   | providers     | outcome                                                      |
      | direct | edp1          | succeeds                                                     |

  @contract-1.5.11/7 @contract-1.0.11/DUCHY_NOT_ACTIVE
  Scenario: the error names the Duchy
    Given the Duchy id list is
      """
      duchies { external_duchy_id: "aggregator" internal_duchy_id: 1 active_start_time { seconds: 1 } active_end_time { seconds: 2 } }
      """
    And all 2 replicas are restarted
    When mc1 creates a reach measurement with edp1 and edp2
    Then the call fails with FAILED_PRECONDITION and reason DUCHY_NOT_ACTIVE
    And the error metadata is
      | duchy | duchies/aggregator |

  @contract-1.5.16 @contract-1.0.17/CreateMeasurement
  Scenario Outline: fewer active Duchies than the minimum
    Given the quirk constraint-violation-is-unknown is <setting>
    And the Duchy id list is
      """
      duchies { external_duchy_id: "aggregator" internal_duchy_id: 1 active_start_time { seconds: 1 } }
      duchies { external_duchy_id: "worker1" internal_duchy_id: 2 active_start_time { seconds: 1 } }
      """
    And all 2 replicas are restarted
    When mc1 creates a reach measurement with edp1 and edp2
    Then the call fails with <code>

    Examples:
      | setting       | code                |
      | faithful      | UNKNOWN             |
      | as-documented | FAILED_PRECONDITION |

  @contract-1.5.16
  Scenario Outline: who computes
    Given mc1 has an <protocol> reach measurement called m with edp1 and edp2
    When operator calls Measurements.StreamMeasurements with
      """
      measurement_view: COMPUTATION
      """
    Then the response lists computation_participants[*].external_duchy_id in any order
      | aggregator |
      | worker1    |
      | worker2    |

    Examples:
      | protocol |
      | LLv2     |
      | RO-LLv2  |
      | HMSS     |

  @contract-1.5.16
  Scenario: TrusTEE is computed by one Duchy
    Given mc1 has a TrusTEE reach measurement called m with edp1 and edp2
    When operator calls Measurements.StreamMeasurements with
      """
      measurement_view: COMPUTATION
      """
    Then the response lists computation_participants[*].external_duchy_id in this order
      | aggregator |

  @contract-1.5.12
  Scenario Outline: a requisition is bound to the provider's current certificate, whatever the entry names
    Given the quirk create-measurement-response-echoes-certificate is <setting>
    When mc1 creates a reach measurement with edp1, where
      | measurement.data_providers[0].value.data_provider_certificate | "{edp2}/certificates/AAAAAAAAAZQ" |
    Then the call succeeds
    And the response has data_providers[0].value.data_provider_certificate: <shown>
    And the response field name is saved as created
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{created}"
      """
    Then the response has data_providers[0].value.data_provider_certificate: {edp1.certificate}

    Examples:
      | setting       | shown                           |
      | faithful      | {edp1}/certificates/AAAAAAAAAZQ |
      | as-documented | {edp1.certificate}              |

  @contract-1.5.13 @contract-1.5.11/2
  Scenario: a replay answers the stored measurement in its present state
    Given mc1 has a direct reach measurement called m with edp1, where
      | request_id | "again" |
    And mc1.m has reached CANCELLED
    When mc1 creates a reach measurement with edp1, where
      | request_id | "again" |
    Then the call succeeds
    And the response has
      | name                                                       | {mc1.m}            |
      | state                                                      | CANCELLED          |
      | data_providers[0].value.data_provider_certificate          | {edp1.certificate} |

  @contract-1.5.13 @contract-1.0.7
  Scenario: the body of a replay does not matter, and without request_id there is none
    Given mc1 has a direct reach measurement called m with edp1, where
      | request_id | "again" |
    When mc1 creates an impression measurement with edp2, where
      | request_id | "again" |
    Then the call succeeds
    And the response has name: {mc1.m}
    When mc1 creates a reach measurement with edp1
    Then the call succeeds
    And the response field name is not "{mc1.m}"

  @contract-1.5.13
  Scenario: a replay runs the public checks again
    Given mc1 has a direct reach measurement called m with edp1, where
      | request_id | "again" |
    When mc1 creates a reach measurement with edp1, where
      | request_id                        | "again"                     |
      | measurement.data_providers[0].key | "dataProviders/AAAAAAAAAZQ" |
    Then the call fails with NOT_FOUND

  @contract-1.5.13
  Scenario: a replay that names a certificate that is not valid is refused
    Given mc1 has a direct reach measurement called m with edp1, where
      | request_id | "again" |
    And mc1 has a new certificate called second
    And mc1 registers its certificate second
    And mc1's certificate second is revoked
    When mc1 creates a reach measurement with edp1, where
      | request_id                                   | "again"        |
      | measurement.measurement_consumer_certificate | "{mc1.second}" |
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID

  @contract-1.5.13
  Scenario: a replay asks neither whether its certificate exists nor how the provider's stands
    Given mc1 has a direct reach measurement called m with edp1, where
      | request_id | "again" |
    And edp1's certificate is in state HOLD
    When mc1 creates a reach measurement with edp1, where
      | request_id                                   | "again"                          |
      | measurement.measurement_consumer_certificate | "{mc1}/certificates/AAAAAAAAAZQ" |
    Then the call succeeds
    And the response has name: {mc1.m}

  @contract-1.5.15
  Scenario Outline: the protocol of one provider, or of what cannot be computed together, is Direct
    When mc1 creates a <type> measurement with <providers>
    Then the call succeeds
    And the response field protocol_config.protocols[0].direct is not "unset"
    And the response has 1 protocol_config.protocols

    Examples:
      | case            | type                | providers     |
      | one-provider    | reach               | edp1          |
      | one-provider-rf | reach and frequency | edp1          |
      | impression      | impression          | edp1 and edp2 |
      | duration        | duration            | edp1 and edp2 |
      | population      | population          | edp1 and edp2 |

  @contract-1.5.15
  Scenario Outline: what is enabled and supported decides among the computed ones
    Given mc1 has a <enabled> reach measurement called first with edp1 and edp2
    And edp1 supports <first>
    And edp2 supports <second>
    When mc1 creates a <type> measurement with edp1 and edp2
    Then the call succeeds
    And the response field protocol_config.protocols[0].<protocol> is not "unset"

    Examples:
      | case                        | enabled | first            | second           | type                | protocol                      |
      | trustee-supported-by-all    | TrusTEE | HMSS and TrusTEE | TrusTEE          | reach               | trus_tee                      |
      | trustee-supported-by-one    | TrusTEE | TrusTEE          | HMSS             | reach               | liquid_legions_v2             |
      | hmss-supported-by-all       | HMSS    | HMSS             | HMSS and TrusTEE | reach and frequency | honest_majority_share_shuffle |
      | hmss-supported-by-one       | HMSS    | TrusTEE          | HMSS             | reach               | liquid_legions_v2             |
      | reach-only-for-reach        | RO-LLv2 | HMSS             | HMSS             | reach               | reach_only_liquid_legions_v2  |
      | reach-only-not-for-more     | RO-LLv2 | HMSS             | HMSS             | reach and frequency | liquid_legions_v2             |

