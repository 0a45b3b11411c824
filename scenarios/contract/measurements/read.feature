Feature: Reading, listing and cancelling measurements

  @contract-1.5.1/GetMeasurement
  Scenario Outline: the kind of principal comes before the name, the name before ownership
    When <actor> calls Measurements.GetMeasurement with
      """
      name: "<name>"
      """
    Then the call fails with <code>
    And the error has no ErrorInfo

    Examples:
      | case                     | actor | name                                               | code              |
      | kind-before-name         | edp1  | nonsense                                           | PERMISSION_DENIED |
      | name-before-ownership    | mc1   | nonsense                                           | INVALID_ARGUMENT  |
      | anothers                 | mc1   | measurementConsumers/AAAAAAAAAZQ/measurements/AAAAAAAAAZQ | PERMISSION_DENIED |
      | id-does-not-decode       | mc1   | {mc1}/measurements/nonsense                        | UNKNOWN           |

  @contract-1.5.1/GetMeasurement @contract-1.0.11/MEASUREMENT_NOT_FOUND @contract-1.0.12/GetMeasurement
  Scenario: a measurement that does not exist is not found
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1}/measurements/AAAAAAAAAZQ"
      """
    Then the call fails with NOT_FOUND and reason MEASUREMENT_NOT_FOUND
    And the error domain is "halo.wfanet.org"
    And the error metadata is
      | measurement | {mc1}/measurements/AAAAAAAAAZQ |

  @contract-1.5.6
  Scenario: what every response shows
    Given mc1 has a direct reach measurement called m with edp1, where
      | measurement.measurement_reference_id | "my reference" |
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the call succeeds
    And the response has
      | name                                                                       | {mc1.m}                          |
      | measurement_consumer_certificate                                           | {mc1.certificate}                |
      | measurement_reference_id                                                   | my reference                     |
      | measurement_spec.signature_algorithm_oid                                   | 1.2.840.10045.4.3.2              |
      | measurement_spec.message.reach.privacy_params.epsilon                      | 0.1                              |
      | data_providers[0].key                                                      | {edp1}                           |
      | data_providers[0].value.data_provider_certificate                          | {edp1.certificate}               |
      | data_providers[0].value.encrypted_requisition_spec.type_url                | type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage |
      | data_providers[0].value.nonce_hash                                         | a3eb8db89fc5123ccfd49585059f292bc40a1c0d550b860f24f84efb4760fbf2 |
      | data_providers[0].value.data_provider_public_key.data                      | {edp1.keyset}                    |
      | state                                                                      | AWAITING_REQUISITION_FULFILLMENT |
      | failure                                                                    | unset                            |
    And the response has 0 results
    And the response field measurement_spec.data is not ""
    And the response field create_time is not "unset"

  @contract-1.5.6
  Scenario: a reference id need not be unique
    Given mc1 has a direct reach measurement called m with edp1, where
      | measurement.measurement_reference_id | "my reference" |
    When mc1 creates a reach measurement with edp1, where
      | measurement.measurement_reference_id | "my reference" |
    Then the call succeeds
    And the response field name is not "{mc1.m}"

  @contract-1.5.6
  Scenario: a create response lists providers in the order of the request
    When mc1 creates a reach measurement with edp2 and edp1
    Then the response lists data_providers[*].key in this order
      | {edp2} |
      | {edp1} |

  @contract-1.5.7
  Scenario: results are there once a direct measurement succeeded, under the bound certificate
    Given mc1 has a direct impression measurement called m with edp1 and edp2
    And edp1 has fulfilled its requisition of mc1.m
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response has 0 results
    Given edp2 has fulfilled its requisition of mc1.m
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response has state: SUCCEEDED
    And the response lists results[*].certificate in any order
      | {edp1.certificate} |
      | {edp2.certificate} |
    And the response lists results[*].encrypted_result.ciphertext in any order
      | 726573756c74206f662065647031 |
      | 726573756c74206f662065647032 |
    And the response has results[0].encrypted_result.type_url: type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage

  @contract-1.5.7 @contract-3.5.5
  Scenario Outline: the result of Duchies is one, under the aggregator's certificate
    Given mc1 has a <protocol> reach measurement called m with edp1 and edp2
    And mc1.m has reached SUCCEEDED
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response lists results[*].certificate in this order
      | {aggregator.certificate} |
    And the response has results[0].encrypted_result.type_url: type.googleapis.com/wfa.measurement.api.v2alpha.SignedMessage

    Examples:
      | protocol |
      | LLv2     |
      | RO-LLv2  |
      | HMSS     |
      | TrusTEE  |

  @contract-1.5.7 @contract-1.6.2
  Scenario: neither a Duchy certificate's revocation nor any signature is looked at for a result
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached PENDING_COMPUTATION
    And aggregator's certificate is in state REVOKED
    When aggregator delivers the result of mc1.m
    Then the call succeeds
    And mc1 sees its measurement m in state SUCCEEDED

  @contract-1.5.8
  Scenario Outline: direct methodologies by type
    Given mc1 has a direct <type> measurement called m with edp1
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response lists protocol_config.protocols[0].direct.noise_mechanisms in any order
      | NONE                |
      | CONTINUOUS_LAPLACE  |
      | CONTINUOUS_GAUSSIAN |
    And the response has 1 protocol_config.protocols
    And the response has
      | protocol_config.name                                                     | ""     |
      | protocol_config.measurement_type                                         | <kind> |
      | protocol_config.protocols[0].direct.custom_direct_methodology            | <custom> |
      | protocol_config.protocols[0].direct.deterministic_count_distinct         | <distinct> |
      | protocol_config.protocols[0].direct.deterministic_distribution           | <distribution> |
      | protocol_config.protocols[0].direct.deterministic_count                  | <count> |
      | protocol_config.protocols[0].direct.deterministic_sum                    | <sum> |
      | protocol_config.protocols[0].direct.liquid_legions_count_distinct        | <distinct> |
      | protocol_config.protocols[0].direct.liquid_legions_distribution          | <distribution> |

    Examples:
      | type                | kind                | custom | distinct | distribution | count | sum   |
      | reach               | REACH               | ""     | ""       | unset        | unset | unset |
      | reach and frequency | REACH_AND_FREQUENCY | ""     | ""       | ""           | unset | unset |
      | impression          | IMPRESSION          | ""     | unset    | unset        | ""    | unset |
      | duration            | DURATION            | ""     | unset    | unset        | unset | ""    |
      | population          | POPULATION          | unset  | unset    | unset        | ""    | unset |

  @contract-1.5.8
  Scenario Outline: parameters of the computed protocols
    Given mc1 has a <protocol> reach measurement called m with edp1 and edp2
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the response has protocol_config.protocols[0].<field>: <value>

    Examples:
      | case           | protocol | field                                                  | value               |
      | llv2-noise     | LLv2     | liquid_legions_v2.noise_mechanism                      | DISCRETE_GAUSSIAN   |
      | llv2-curve     | LLv2     | liquid_legions_v2.elliptic_curve_id                    | 415                 |
      | llv2-sketch    | LLv2     | liquid_legions_v2.sketch_params.max_size               | 100000              |
      | ro-llv2-noise  | RO-LLv2  | reach_only_liquid_legions_v2.noise_mechanism           | DISCRETE_GAUSSIAN   |
      | hmss-modulus   | HMSS     | honest_majority_share_shuffle.ring_modulus       | 127                 |
      | hmss-noise     | HMSS     | honest_majority_share_shuffle.noise_mechanism          | DISCRETE_GAUSSIAN   |
      | trustee-noise  | TrusTEE  | trus_tee.noise_mechanism                               | CONTINUOUS_GAUSSIAN |

  @contract-1.5.1/ListMeasurements @contract-1.0.6
  Scenario Outline: listing: principal and kind, parent, page size, token, ownership last
    Given <given>
    When <actor> calls Measurements.ListMeasurements with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case                       | given                                     | actor | request                                                          | code              |
      | principal-first            | edp1 presents a "akid-absent" certificate | edp1  | parent: "nonsense" page_size: -1                                 | UNAUTHENTICATED   |
      | kind-before-parent         | a running Kingdom                         | edp1  | parent: "nonsense"                                               | PERMISSION_DENIED |
      | parent-before-page-size    | a running Kingdom                         | mc1   | parent: "nonsense" page_size: -1                                 | INVALID_ARGUMENT  |
      | page-size-before-token     | a running Kingdom                         | mc1   | parent: "{mc1}" page_size: -1 page_token: "not base64!"          | INVALID_ARGUMENT  |
      | token-before-ownership     | a running Kingdom                         | mc1   | parent: "measurementConsumers/AAAAAAAAAZQ" page_token: "not base64!" | UNKNOWN       |
      | ownership-last             | a running Kingdom                         | mc1   | parent: "measurementConsumers/AAAAAAAAAZQ"                       | PERMISSION_DENIED |

  @contract-1.1.4
  Scenario: listing compares decoded ids, so another spelling of the own one will do
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}="
      """
    Then the call succeeds

  @contract-1.5.4
  Scenario: oldest update first, and exclusive bounds and states filter
    Given mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    And mc1 has a direct reach measurement called three with edp1
    And mc1.two has reached CANCELLED
    And mc1.one has reached CANCELLED
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}"
      """
    Then the response lists measurements[*].name in this order
      | {mc1.three} |
      | {mc1.two}   |
      | {mc1.one}   |
    And the response field next_page_token is ""
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}" filter { states: CANCELLED }
      """
    Then the response lists measurements[*].name in this order
      | {mc1.two} |
      | {mc1.one} |
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}" filter { states: CANCELLED states: AWAITING_REQUISITION_FULFILLMENT updated_before { seconds: 1 } }
      """
    Then the response has 0 measurements

  @contract-1.5.4
  Scenario: a time bound is exclusive
    Given mc1 has a direct reach measurement called one with edp1
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.one}"
      """
    Then the response field update_time.seconds is saved as seconds
    And the response field update_time.nanos is saved as nanos
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}" filter { updated_after { seconds: {seconds} nanos: {nanos} } }
      """
    Then the response has 0 measurements

  @contract-1.5.4 @contract-1.0.13/ListMeasurements
  Scenario Outline: the second page
    Given the quirk list-measurements-repeats-first-page is <setting>
    And mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}" page_size: 1
      """
    Then the response lists measurements[*].name in this order
      | {mc1.one} |
    And the response field next_page_token is saved as token
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}" page_size: 1 page_token: "{token}"
      """
    Then the response lists measurements[*].name in this order
      | {mc1.<second>} |

    Examples:
      | setting       | second |
      | faithful      | one    |
      | as-documented | two    |

  @contract-1.5.5
  Scenario Outline: with a token, a page size replaces the stored one only within its bounds
    Given mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    And mc1 has a direct reach measurement called three with edp1
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}" page_size: 2
      """
    Then the response field next_page_token is saved as token
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}" page_size: <size> page_token: "{token}"
      """
    Then the response has <shown> measurements

    Examples:
      | size | shown |
      | 1    | 1     |
      | 1000 | 3     |
      | 0    | 2     |
      | 1001 | 2     |

  @contract-1.0.13/ListMeasurements
  Scenario Outline: a token must repeat the request's filter, states as a set
    Given token is the page token wfa.measurement.api.v2alpha.ListMeasurementsPageToken with
      """
      page_size: 5 external_measurement_consumer_id: {mc1.number} states: [SUCCEEDED, FAILED]
      updated_after { seconds: 5 } last_measurement { external_measurement_id: 1 }
      """
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}" page_token: "{token}" filter { <filter> }
      """
    Then the call <outcome>

    Examples:
      | case           | filter                                                            | outcome                     |
      | same           | states: [SUCCEEDED, FAILED] updated_after { seconds: 5 }          | succeeds                    |
      | another-order  | states: [FAILED, SUCCEEDED, FAILED] updated_after { seconds: 5 }  | succeeds                    |
      | other-states   | states: [SUCCEEDED] updated_after { seconds: 5 }                  | fails with INVALID_ARGUMENT |
      | other-time     | states: [SUCCEEDED, FAILED] updated_after { seconds: 6 }          | fails with INVALID_ARGUMENT |
      | no-filter      |                                                                   | fails with INVALID_ARGUMENT |

  @contract-1.0.4 @contract-1.0.13/ListMeasurements
  Scenario Outline: text that is no token
    Given the quirk malformed-page-token-is-unknown is <setting>
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}" page_token: "not base64!"
      """
    Then the call fails with <code>

    Examples:
      | setting       | code             |
      | faithful      | UNKNOWN          |
      | as-documented | INVALID_ARGUMENT |

  @contract-1.5.1/BatchGetMeasurements
  Scenario: order and duplicates are preserved
    Given mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    When mc1 calls Measurements.BatchGetMeasurements with
      """
      parent: "{mc1}" names: ["{mc1.two}", "{mc1.one}", "{mc1.two}"]
      """
    Then the response lists measurements[*].name in this order
      | {mc1.two} |
      | {mc1.one} |
      | {mc1.two} |

  @contract-1.5.1/BatchGetMeasurements
  Scenario Outline: one bad name refuses the whole batch
    Given mc1 has a direct reach measurement called one with edp1
    When mc1 calls Measurements.BatchGetMeasurements with
      """
      parent: "{mc1}" <names>
      """
    Then the call fails with <code>
    And the error has no ErrorInfo

    Examples:
      | case             | names                                                                                        | code             |
      | none             |                                                                                              | INVALID_ARGUMENT |
      | wrong-shape      | names: "{mc1.one}" names: "nonsense"                                                         | INVALID_ARGUMENT |
      | another-parent   | names: "{mc1.one}" names: "measurementConsumers/AAAAAAAAAZQ/measurements/AAAAAAAAAZQ"        | INVALID_ARGUMENT |

    @contract-1.0.12/GetMeasurement
    Examples:
      | case             | names                                                                                        | code             |
      | missing          | names: "{mc1.one}" names: "{mc1}/measurements/AAAAAAAAAZQ"                                   | NOT_FOUND        |

  @contract-1.5.1/BatchCreateMeasurements @contract-1.5.17
  Scenario: a batch is created whole, and answered in request order
    When mc1 creates a batch of 3 reach measurements with edp1, where
      | requests[0].measurement.measurement_reference_id | "a" |
      | requests[1].measurement.measurement_reference_id | "b" |
      | requests[2].measurement.measurement_reference_id | "c" |
    Then the response lists measurements[*].measurement_reference_id in this order
      | a |
      | b |
      | c |

  @contract-1.5.1/BatchCreateMeasurements @contract-1.5.17
  Scenario Outline: one bad child refuses the whole batch
    When mc1 creates a batch of 2 reach measurements with edp1, where
      | requests[1].<path> | <value> |
    Then the call fails with <code>
    When mc1 calls Measurements.ListMeasurements with
      """
      parent: "{mc1}"
      """
    Then the response has 0 measurements

    Examples:
      | case                        | path                                         | value                                      | code                                             |
      | another-parent              | parent                                       | "measurementConsumers/AAAAAAAAAZQ"         | INVALID_ARGUMENT                                 |
      | one-parent-empty            | parent                                       | ""                                         | INVALID_ARGUMENT                                 |
      | provider-name               | measurement.data_providers[0].key            | "dataProviders/nonsense"                   | UNKNOWN                                          |
      | provider-missing            | measurement.data_providers[0].key            | "dataProviders/AAAAAAAAAZQ"                | NOT_FOUND                                        |
      | no-providers                | measurement.data_providers                   | unset                                      | INVALID_ARGUMENT                                 |

    @contract-1.0.12/CreateMeasurement
    Examples:
      | case                        | path                                         | value                                      | code                                             |
      | unknown-certificate         | measurement.measurement_consumer_certificate | "{mc1}/certificates/AAAAAAAAAZQ"           | FAILED_PRECONDITION and reason CERTIFICATE_NOT_FOUND |

  @contract-1.5.1/BatchCreateMeasurements
  Scenario Outline: a batch has 1 to 50 children
    When mc1 creates a batch of <number> reach measurements with edp1
    Then the call <outcome>

    Examples:
      | number | outcome                     |
      | 0      | fails with INVALID_ARGUMENT |
      | 50     | succeeds                    |
      | 51     | fails with INVALID_ARGUMENT |

  @contract-1.5.17
  Scenario: one certificate that is not valid fails the batch, replays included
    Given mc1 has a direct reach measurement called m with edp1, where
      | request_id | "again" |
    And mc1 has a new certificate called second
    And mc1 registers its certificate second
    And mc1's certificate second is revoked
    When mc1 creates a batch of 2 reach measurements with edp1, where
      | requests[0].request_id                                   | "again"        |
      | requests[1].measurement.measurement_consumer_certificate | "{mc1.second}" |
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID

  @contract-1.5.17 @contract-1.0.17/BatchCreateMeasurements
  Scenario Outline: the same new request_id twice in one batch
    Given the quirk constraint-violation-is-unknown is <setting>
    When mc1 creates a batch of 2 reach measurements with edp1, where
      | requests[0].request_id | "same" |
      | requests[1].request_id | "same" |
    Then the call fails with <code>
    And the error has no ErrorInfo

    Examples:
      | setting       | code             |
      | faithful      | UNKNOWN          |
      | as-documented | INVALID_ARGUMENT |

  @contract-1.5.1/CancelMeasurement
  Scenario Outline: what is pending can be cancelled
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached <state>
    When mc1 calls Measurements.CancelMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the call succeeds
    And the response has state: CANCELLED
    And the operator sees edp1's requisition of mc1.m in state <requisition>

    Examples:
      | state                            | requisition |
      | PENDING_REQUISITION_PARAMS       | WITHDRAWN   |
      | PENDING_REQUISITION_FULFILLMENT  | WITHDRAWN   |
      | PENDING_PARTICIPANT_CONFIRMATION | FULFILLED   |
      | PENDING_COMPUTATION              | FULFILLED   |

  @contract-1.5.1/CancelMeasurement @contract-1.5.2 @contract-1.0.11/MEASUREMENT_STATE_ILLEGAL
  Scenario Outline: what is terminal cannot be cancelled
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached <state>
    When mc1 calls Measurements.CancelMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the call fails with FAILED_PRECONDITION and reason MEASUREMENT_STATE_ILLEGAL
    And the error metadata is
      | measurement | {mc1.m} |
      | state       | <state> |

    Examples:
      | state     |
      | SUCCEEDED |
      | FAILED    |
      | CANCELLED |

  @contract-1.5.1/CancelMeasurement @contract-1.0.12/CreateMeasurement
  Scenario: a measurement that does not exist cannot be cancelled
    When mc1 calls Measurements.CancelMeasurement with
      """
      name: "{mc1}/measurements/AAAAAAAAAZQ"
      """
    Then the call fails with NOT_FOUND and reason MEASUREMENT_NOT_FOUND

  @contract-1.5.3
  Scenario: each reason has a text of its own
    Given mc1 has a direct reach measurement called refused with edp1
    And edp1 has refused its requisition of mc1.refused with DECLINED
    And mc1 has an LLv2 reach measurement called failed with edp1 and edp2
    And mc1.failed has reached FAILED
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.refused}"
      """
    Then the response has failure.reason: REQUISITION_REFUSED
    And the text failure.message contains "{edp1.refused_requisition_id}"
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.failed}"
      """
    Then the response has failure.reason: COMPUTATION_PARTICIPANT_FAILED
    And the text failure.message contains "aggregator cannot go on"
