Feature: The operator's API

  @contract-1.8.1
  Scenario Outline: any client of the Kingdom's own root may call, and nobody else
    Given mc1 has a direct reach measurement called m with edp1
    And <given>
    When <actor> calls wfa.measurement.internal.kingdom.Measurements.GetMeasurement with
      """
      external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number}
      """
    Then <outcome>

    Examples:
      | case         | given                                          | actor    | outcome                   |
      | operator     | a running Kingdom                              | operator | the call succeeds         |
      | fresh-leaf   | operator presents a fresh leaf of its root     | operator | the call succeeds         |
      | participant  | a running Kingdom                              | edp1     | the connection is refused |
      | duchy        | a running Kingdom                              | worker1  | the connection is refused |

  @contract-1.8.1
  Scenario: errors are in the internal domain, with ids in decimal
    When operator calls Measurements.GetMeasurement with
      """
      external_measurement_consumer_id: {mc1.number} external_measurement_id: 404
      """
    Then the call fails with NOT_FOUND and reason MEASUREMENT_NOT_FOUND
    And the error domain is "wfa.measurement.internal.kingdom.ErrorCode"
    And the error metadata is
      | external_measurement_consumer_id | {mc1.number} |
      | external_measurement_id          | 404          |

  @contract-1.8.2/BatchDeleteMeasurements
  Scenario Outline: any state may be deleted, and is gone
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached <state>
    When operator calls Measurements.BatchDeleteMeasurements with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} etag: "{mc1.m_etag}" }
      """
    Then the call succeeds
    When mc1 calls Measurements.GetMeasurement with
      """
      name: "{mc1.m}"
      """
    Then the call fails with NOT_FOUND and reason MEASUREMENT_NOT_FOUND
    When edp1 calls Requisitions.GetRequisition with
      """
      name: "{edp1.m_requisition}"
      """
    Then the call fails with NOT_FOUND and reason REQUISITION_NOT_FOUND

    Examples:
      | state                           |
      | PENDING_REQUISITION_PARAMS      |
      | PENDING_REQUISITION_FULFILLMENT |
      | SUCCEEDED                       |
      | CANCELLED                       |

  @contract-1.8.2/BatchDeleteMeasurements
  Scenario: the request_id is free again
    Given mc1 has a direct reach measurement called m with edp1, where
      | request_id | "again" |
    When operator calls Measurements.BatchDeleteMeasurements with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} }
      """
    Then the call succeeds
    When mc1 creates a reach measurement with edp1, where
      | request_id | "again" |
    Then the call succeeds
    And the response field name is not "{mc1.m}"

  @contract-1.8.2/BatchDeleteMeasurements
  Scenario Outline: refusals, and all or nothing
    Given mc1 has a direct reach measurement called m with edp1
    When operator calls Measurements.BatchDeleteMeasurements with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} }
      requests { <second> }
      """
    Then the call fails with <code>
    And mc1 sees its measurement m in state AWAITING_REQUISITION_FULFILLMENT

    Examples:
      | case          | second                                                                     | code                                       |
      | zero-id       | external_measurement_consumer_id: {mc1.number}                             | INVALID_ARGUMENT                           |
      | missing       | external_measurement_consumer_id: {mc1.number} external_measurement_id: 404 | NOT_FOUND and reason MEASUREMENT_NOT_FOUND |
      | other-etag    | external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} etag: "other" | ABORTED and reason MEASUREMENT_ETAG_MISMATCH |
      | negative-id   | external_measurement_consumer_id: {mc1.number} external_measurement_id: 18446744073709551615 | UNKNOWN |

  @contract-1.8.2/BatchDeleteMeasurements
  Scenario: duplicates are fine, and so is an empty list
    Given mc1 has a direct reach measurement called m with edp1
    When operator calls Measurements.BatchDeleteMeasurements
    Then the call succeeds
    When operator calls Measurements.BatchDeleteMeasurements with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} }
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} }
      """
    Then the call succeeds

  Scenario Outline: at most 1000 in a batch
    When operator calls Measurements.<method> with 1001 requests
    Then the call fails with INVALID_ARGUMENT

    @contract-1.8.2/BatchDeleteMeasurements
    Examples:
      | method                  |
      | BatchDeleteMeasurements |

    @contract-1.8.2/BatchCancelMeasurements
    Examples:
      | method                  |
      | BatchCancelMeasurements |

  @contract-1.8.2/BatchCancelMeasurements
  Scenario Outline: open requisitions are withdrawn in all four pending states
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And mc1.m has reached <state>
    When operator calls Measurements.BatchCancelMeasurements with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} etag: "{mc1.m_etag}" }
      """
    Then the response has
      | measurements[0].external_measurement_id | {mc1.m_number} |
      | measurements[0].state                   | CANCELLED      |
    And the response field measurements[0].etag is not "{mc1.m_etag}"
    And the operator sees edp1's requisition of mc1.m in state <requisition>

    Examples:
      | state                            | requisition |
      | PENDING_REQUISITION_PARAMS       | WITHDRAWN   |
      | PENDING_REQUISITION_FULFILLMENT  | WITHDRAWN   |
      | PENDING_PARTICIPANT_CONFIRMATION | FULFILLED   |
      | PENDING_COMPUTATION              | FULFILLED   |

  @contract-1.8.2/BatchCancelMeasurements
  Scenario: in request order
    Given mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    When operator calls Measurements.BatchCancelMeasurements with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.two_number} }
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.one_number} }
      """
    Then the response lists measurements[*].external_measurement_id in this order
      | {mc1.two_number} |
      | {mc1.one_number} |

  @contract-1.8.2/BatchCancelMeasurements
  Scenario Outline: what is not pending comes before the etag
    Given the quirk batch-cancel-not-pending-is-internal is <setting>
    And mc1 has a direct reach measurement called m with edp1
    And mc1.m has reached CANCELLED
    When operator calls Measurements.BatchCancelMeasurements with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} etag: "other" }
      """
    Then the call fails with <code> and reason MEASUREMENT_STATE_ILLEGAL

    Examples:
      | setting       | code                |
      | faithful      | INTERNAL            |
      | as-documented | FAILED_PRECONDITION |

  @contract-1.8.2/BatchCancelMeasurements
  Scenario Outline: refusals of cancelling
    Given mc1 has a direct reach measurement called m with edp1
    When operator calls Measurements.BatchCancelMeasurements with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} }
      requests { <second> }
      """
    Then the call fails with <code>
    And mc1 sees its measurement m in state AWAITING_REQUISITION_FULFILLMENT

    Examples:
      | case          | second                                                                     | code                                       |
      | zero-id       | external_measurement_consumer_id: {mc1.number}                             | INVALID_ARGUMENT                           |
      | missing       | external_measurement_consumer_id: {mc1.number} external_measurement_id: 404 | NOT_FOUND and reason MEASUREMENT_NOT_FOUND |

  @contract-1.8.3 @contract-1.0.11/MEASUREMENT_ETAG_MISMATCH
  Scenario Outline: the two etags of a mismatch
    Given the quirk measurement-etag-metadata-swapped is <setting>
    And mc1 has a direct reach measurement called m with edp1
    When operator calls Measurements.<method> with
      """
      requests { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.m_number} etag: "mine" }
      """
    Then the call fails with ABORTED and reason MEASUREMENT_ETAG_MISMATCH
    And the error metadata is
      | requested_measurement_etag | <requested> |
      | actual_measurement_etag    | <actual>    |

    Examples:
      | case              | setting       | method                  | requested    | actual       |
      | faithful-delete   | faithful      | BatchDeleteMeasurements | {mc1.m_etag} | mine         |
      | faithful-cancel   | faithful      | BatchCancelMeasurements | {mc1.m_etag} | mine         |
      | documented-delete | as-documented | BatchDeleteMeasurements | mine         | {mc1.m_etag} |
      | documented-cancel | as-documented | BatchCancelMeasurements | mine         | {mc1.m_etag} |

  @contract-1.8.4 @contract-1.8.2/StreamMeasurements
  Scenario Outline: how an operator finds measurements
    Given mc1 has a new certificate called second
    And mc1 registers its certificate second
    And mc1 has a direct reach measurement called one with edp1
    And mc1 has an LLv2 reach measurement called two with edp1 and edp2
    And mc1 has a direct reach measurement called three with edp1, where
      | measurement.measurement_consumer_certificate | "{mc1.second}" |
    And mc1.three has reached CANCELLED
    When operator calls Measurements.StreamMeasurements with
      """
      <request>
      """
    Then the stream has <count> messages

    Examples:
      | case             | request                                                                        | count |
      | all              |                                                                                | 3     |
      | limit            | limit: 2                                                                       | 2     |
      | consumer         | filter { external_measurement_consumer_id: 404 }                               | 0     |
      | certificate      | filter { external_measurement_consumer_certificate_id: {mc1.certificate_number} } | 2  |
      | state            | filter { states: CANCELLED }                                                   | 1     |
      | duchy            | filter { external_duchy_id: "worker1" }                                        | 1     |
      | computation      | filter { has_external_computation_id: true }                                   | 1     |
      | updated-before   | filter { updated_before { seconds: 1 } }                                       | 0     |
      | created-after    | filter { created_after { seconds: 1 } }                                        | 3     |

  @contract-1.8.4 @contract-1.8.2/StreamMeasurements
  Scenario: an unknown Duchy is unknown
    When operator calls Measurements.StreamMeasurements with
      """
      filter { external_duchy_id: "worker9" }
      """
    Then the call fails with UNKNOWN

  @contract-1.8.4
  Scenario: after takes the update time, so pages follow each other here
    Given mc1 has a direct reach measurement called one with edp1
    And mc1 has a direct reach measurement called two with edp1
    When operator calls Measurements.StreamMeasurements with
      """
      limit: 1
      """
    Then the response has external_measurement_id: {mc1.one_number}
    And the response field update_time.seconds is saved as seconds
    And the response field update_time.nanos is saved as nanos
    When operator calls Measurements.StreamMeasurements with
      """
      filter { after {
        update_time { seconds: {seconds} nanos: {nanos} }
        measurement { external_measurement_consumer_id: {mc1.number} external_measurement_id: {mc1.one_number} }
      } }
      """
    Then the stream has 1 message
    And the response has external_measurement_id: {mc1.two_number}

  @contract-1.8.5 @contract-1.8.2/Certificates
  Scenario Outline: a certificate needs its parent
    When operator calls Certificates.<method> with
      """
      <request>
      """
    Then the call fails with INVALID_ARGUMENT

    Examples:
      | method            | request                                            |
      | CreateCertificate | subject_key_identifier: "x"                        |
      | GetCertificate    | external_certificate_id: 5                         |
      | RevokeCertificate | external_certificate_id: 5 revocation_state: HOLD  |
      | ReleaseCertificateHold | external_certificate_id: 5                    |

  @contract-1.8.5 @contract-1.8.2/Certificates
  Scenario: what is given is stored as it is
    When operator calls Certificates.CreateCertificate with
      """
      external_data_provider_id: {edp1.number} revocation_state: HOLD details { x509_der: "not parsed" }
      not_valid_before { seconds: 5 } not_valid_after { seconds: 4 }
      """
    Then the call succeeds
    And the response has
      | revocation_state       | HOLD                 |
      | subject_key_identifier | ""                   |
      | details.x509_der       | 6e6f7420706172736564 |
      | not_valid_after.seconds | 4                   |

  @contract-1.8.5 @contract-1.8.2/Certificates
  Scenario Outline: refusals
    When operator calls Certificates.<method> with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case           | method            | request                                                                        | code                                                        |
      | duplicate-skid | CreateCertificate | external_data_provider_id: {edp1.number} subject_key_identifier: "{edp2.certificate_skid}" | ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS |
      | unknown-parent | CreateCertificate | external_data_provider_id: 404 subject_key_identifier: "x"                      | NOT_FOUND and reason DATA_PROVIDER_NOT_FOUND                |
      | unknown-duchy  | CreateCertificate | external_duchy_id: "worker9" subject_key_identifier: "x"                        | NOT_FOUND and reason DUCHY_NOT_FOUND                        |
      | revoke-unspecified | RevokeCertificate | external_data_provider_id: {edp1.number} external_certificate_id: {edp1.certificate_number} | FAILED_PRECONDITION and reason CERTIFICATE_REVOCATION_STATE_ILLEGAL |
      | revoke-missing | RevokeCertificate | external_data_provider_id: {edp1.number} external_certificate_id: 404 revocation_state: HOLD | NOT_FOUND and reason CERTIFICATE_NOT_FOUND     |

  @contract-1.8.5
  Scenario: a certificate that is missing is not found, without ErrorInfo
    When operator calls Certificates.GetCertificate with
      """
      external_data_provider_id: {edp1.number} external_certificate_id: 404
      """
    Then the call fails with NOT_FOUND
    And the error has no ErrorInfo

  @contract-1.8.2/Certificates
  Scenario: the operator revokes for a participant, and the cascade runs
    Given mc1 has a direct reach measurement called m with edp1
    When operator calls Certificates.RevokeCertificate with
      """
      external_data_provider_id: {edp1.number} external_certificate_id: {edp1.certificate_number} revocation_state: REVOKED
      """
    Then the call succeeds
    And edp1 sees its certificate in state REVOKED
    And mc1 sees its measurement m failed with CERTIFICATE_REVOKED

  @contract-1.8.2/PublicKeys
  Scenario: the operator replaces a key, unparsed and for anybody
    When operator calls PublicKeys.UpdatePublicKey with
      """
      external_data_provider_id: {edp1.number} external_certificate_id: {edp1.certificate_number}
      api_version: "v2alpha" public_key: "\x08\x01\x12\x01k" public_key_signature: "s" public_key_signature_algorithm_oid: "1.2"
      """
    Then the response is empty
    When edp1 calls DataProviders.GetDataProvider with
      """
      name: "{edp1}"
      """
    Then the response has
      | public_key.message.data            | 6b  |
      | public_key.signature               | 73  |
      | public_key.signature_algorithm_oid | 1.2 |

  @contract-1.8.2/PublicKeys
  Scenario Outline: what a key update needs
    When operator calls PublicKeys.UpdatePublicKey with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case            | request                                                                                                        | code             |
      | no-parent       | external_certificate_id: 5 api_version: "v2alpha" public_key: "k" public_key_signature: "s"                    | INVALID_ARGUMENT |
      | no-certificate  | external_data_provider_id: {edp1.number} api_version: "v2alpha" public_key: "k" public_key_signature: "s"      | INVALID_ARGUMENT |
      | no-api-version  | external_data_provider_id: {edp1.number} external_certificate_id: 5 public_key: "k" public_key_signature: "s"  | INVALID_ARGUMENT |
      | no-key          | external_data_provider_id: {edp1.number} external_certificate_id: 5 api_version: "v2alpha" public_key_signature: "s" | INVALID_ARGUMENT |
      | no-signature    | external_data_provider_id: {edp1.number} external_certificate_id: 5 api_version: "v2alpha" public_key: "k"     | INVALID_ARGUMENT |
      | unknown-parent  | external_data_provider_id: 404 external_certificate_id: 5 api_version: "v2alpha" public_key: "k" public_key_signature: "s" | NOT_FOUND |
      | unknown-certificate | external_data_provider_id: {edp1.number} external_certificate_id: 5 api_version: "v2alpha" public_key: "k" public_key_signature: "s" | FAILED_PRECONDITION |

  @contract-1.8.2/DataProviders @contract-1.3.3
  Scenario Outline: provisioning a data provider
    When operator calls DataProviders.CreateDataProvider with
      """
      certificate { subject_key_identifier: "new" details { x509_der: "der" } not_valid_before { seconds: 1 } not_valid_after { seconds: 2 } }
      details { <details> }
      """
    Then the call <outcome>

    Examples:
      | case            | details                                                                   | outcome                     |
      | whole           | api_version: "v2alpha" public_key: "\\x08\\x01" public_key_signature: "s"   | succeeds                    |
      | no-api-version  | public_key: "k" public_key_signature: "s"                                 | fails with INVALID_ARGUMENT |
      | other-version   | api_version: "v9" public_key: "k" public_key_signature: "s"               | fails with INVALID_ARGUMENT |
      | no-key          | api_version: "v2alpha" public_key_signature: "s"                          | fails with INVALID_ARGUMENT |
      | no-signature    | api_version: "v2alpha" public_key: "k"                                    | fails with INVALID_ARGUMENT |
