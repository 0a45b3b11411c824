Feature: Data providers, measurement consumers and model providers

  @contract-1.3.1/GetDataProvider
  Scenario Outline: who reads a data provider
    When <actor> calls DataProviders.GetDataProvider with
      """
      name: "{edp1}"
      """
    Then the call <outcome>

    Examples:
      | actor          | outcome                      |
      | edp1           | succeeds                     |
      | mc1            | succeeds                     |
      | modelprovider1 | succeeds                     |
      | edp2           | fails with PERMISSION_DENIED |
      | worker1        | fails with PERMISSION_DENIED |

  @contract-1.3.1/GetDataProvider @contract-1.0.11/DATA_PROVIDER_NOT_FOUND @contract-1.0.12/GetDataProvider
  Scenario: a data provider that does not exist is not found
    When mc1 calls DataProviders.GetDataProvider with
      """
      name: "dataProviders/AAAAAAAAAZQ"
      """
    Then the call fails with NOT_FOUND and reason DATA_PROVIDER_NOT_FOUND
    And the error domain is "halo.wfanet.org"
    And the error metadata is
      | dataProvider | dataProviders/AAAAAAAAAZQ |

  @contract-1.3.1/GetDataProvider
  Scenario Outline: the current certificate is shown whatever its state, without a hint of it
    Given edp1's certificate is in state <state>
    When mc1 calls DataProviders.GetDataProvider with
      """
      name: "{edp1}"
      """
    Then the response has
      | certificate     | {edp1.certificate}     |
      | certificate_der | {edp1.certificate_der} |

    Examples:
      | state                        |
      | REVOCATION_STATE_UNSPECIFIED |
      | HOLD                         |
      | REVOKED                      |

  @contract-1.3.1/ReplaceDataProviderRequiredDuchies
  Scenario Outline: only the provider itself replaces
    When <actor> calls DataProviders.<method> with
      """
      name: "{edp1}" <more>
      """
    Then the call <outcome>

    Examples:
      | case               | actor | method                             | more | outcome                      |
      | duchies            | edp1  | ReplaceDataProviderRequiredDuchies | required_duchies: "duchies/worker1" | succeeds |
      | duchies-another    | edp2  | ReplaceDataProviderRequiredDuchies | required_duchies: "duchies/worker1" | fails with PERMISSION_DENIED |
      | duchies-consumer   | mc1   | ReplaceDataProviderRequiredDuchies |      | fails with PERMISSION_DENIED |
      | interval           | edp1  | ReplaceDataAvailabilityInterval    | data_availability_interval { start_time { seconds: 5 } end_time { seconds: 6 } } | succeeds |
      | interval-another   | edp2  | ReplaceDataAvailabilityInterval    |      | fails with PERMISSION_DENIED |
      | capabilities       | edp1  | ReplaceDataProviderCapabilities    | capabilities { trus_tee_supported: true } | succeeds |
      | capabilities-another | mc1 | ReplaceDataProviderCapabilities    |      | fails with PERMISSION_DENIED |

  @contract-1.0.6 @contract-1.3.1/ReplaceDataProviderRequiredDuchies
  Scenario Outline: name, shape of every Duchy, principal, ownership
    Given <given>
    When edp1 calls DataProviders.ReplaceDataProviderRequiredDuchies with
      """
      name: "<name>" required_duchies: "duchies/worker1" required_duchies: "<duchy>"
      """
    Then the call fails with <code>

    Examples:
      | case                       | given                                     | name     | duchy          | code              |
      | name                       | edp1 presents a "akid-absent" certificate | nonsense | duchies/worker2 | INVALID_ARGUMENT |
      | duchy-before-principal     | edp1 presents a "akid-absent" certificate | {edp2}   | nonsense       | INVALID_ARGUMENT  |
      | principal-before-ownership | edp1 presents a "akid-absent" certificate | {edp2}   | duchies/worker2 | UNAUTHENTICATED  |
      | ownership                  | a running Kingdom                         | {edp2}   | duchies/worker2 | PERMISSION_DENIED |

  @contract-1.0.17/ReplaceDataProviderRequiredDuchies
  Scenario Outline: a Duchy that is unknown or repeated
    Given the quirk constraint-violation-is-unknown is <setting>
    When edp1 calls DataProviders.ReplaceDataProviderRequiredDuchies with
      """
      name: "{edp1}" required_duchies: "duchies/worker1" required_duchies: "duchies/<second>"
      """
    Then the call fails with <code>

    Examples:
      | case                | setting       | second  | code                                 |
      | faithful-unknown    | faithful      | worker9 | UNKNOWN                              |
      | faithful-repeated   | faithful      | worker1 | UNKNOWN                              |
      | documented-unknown  | as-documented | worker9 | NOT_FOUND and reason DUCHY_NOT_FOUND |
      | documented-repeated | as-documented | worker1 | INVALID_ARGUMENT                     |

  @contract-1.0.17/ReplaceDataProviderRequiredDuchies
  Scenario: faithfully, the unknown Duchy is not named
    When edp1 calls DataProviders.ReplaceDataProviderRequiredDuchies with
      """
      name: "{edp1}" required_duchies: "duchies/worker9"
      """
    Then the call fails with UNKNOWN
    And the error has no ErrorInfo

  @contract-1.0.11/DATA_PROVIDER_NOT_FOUND
  Scenario Outline: a mapped provider that does not exist is not found
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp2.root_skid}" principal_resource_name: "dataProviders/AAAAAAAAAZQ" }
      """
    And all 2 replicas are restarted
    When edp2 calls DataProviders.<method> with
      """
      name: "dataProviders/AAAAAAAAAZQ" <more>
      """
    Then the call fails with NOT_FOUND and reason DATA_PROVIDER_NOT_FOUND
    And the error metadata is
      | dataProvider | dataProviders/AAAAAAAAAZQ |

    @contract-1.0.12/ReplaceDataAvailabilityInterval
    Examples:
      | method                           | more |
      | ReplaceDataAvailabilityInterval  | data_availability_interval { start_time { seconds: 5 } end_time { seconds: 6 } } |
      | ReplaceDataProviderCapabilities  |      |

    @contract-1.0.12/ReplaceDataAvailabilityIntervals
    Examples:
      | method                           | more |
      | ReplaceDataAvailabilityIntervals |      |

    @contract-1.0.12/GetDataProvider
    Examples:
      | method                           | more |
      | ReplaceDataProviderRequiredDuchies |    |

  @contract-1.3.1/GetMeasurementConsumer
  Scenario Outline: who reads a measurement consumer
    When <actor> calls MeasurementConsumers.GetMeasurementConsumer with
      """
      name: "{mc1}"
      """
    Then the call <outcome>

    Examples:
      | actor          | outcome                      |
      | mc1            | succeeds                     |
      | edp1           | succeeds                     |
      | modelprovider1 | fails with PERMISSION_DENIED |
      | worker1        | fails with PERMISSION_DENIED |

  @contract-1.3.1/GetMeasurementConsumer @contract-1.0.6
  Scenario Outline: principal, name, id, permission
    Given <given>
    When <actor> calls MeasurementConsumers.GetMeasurementConsumer with
      """
      name: "<name>"
      """
    Then the call fails with <code>

    Examples:
      | case                 | given                                     | actor   | name                             | code              |
      | principal-before-name | edp1 presents a "akid-absent" certificate | edp1   | nonsense                         | UNAUTHENTICATED   |
      | name                 | a running Kingdom                         | worker1 | nonsense                         | INVALID_ARGUMENT  |
      | id-before-permission | a running Kingdom                         | worker1 | measurementConsumers/nonsense    | UNKNOWN           |
      | permission           | a running Kingdom                         | mc1     | measurementConsumers/AAAAAAAAAZQ | PERMISSION_DENIED |

  @contract-1.3.1/GetMeasurementConsumer @contract-1.0.11/MEASUREMENT_CONSUMER_NOT_FOUND
  Scenario: a measurement consumer that does not exist is not found
    When edp1 calls MeasurementConsumers.GetMeasurementConsumer with
      """
      name: "measurementConsumers/AAAAAAAAAZQ"
      """
    Then the call fails with NOT_FOUND and reason MEASUREMENT_CONSUMER_NOT_FOUND
    And the error metadata is
      | measurementConsumer | measurementConsumers/AAAAAAAAAZQ |

  @contract-1.1.4
  Scenario: a consumer is compared by its decoded id, so another spelling of the own one will do
    When mc1 calls MeasurementConsumers.GetMeasurementConsumer with
      """
      name: "{mc1}="
      """
    Then the call succeeds
    And the response has name: {mc1}

  Scenario Outline: what needs an account refuses a principal without one, before anything else
    When mc1 calls MeasurementConsumers.<method> with
      """
      <request>
      """
    Then the call fails with UNAUTHENTICATED
    And the error has no ErrorInfo

    @contract-1.3.1/CreateMeasurementConsumer @contract-1.3.6
    Examples:
      | method                         | request          |
      | CreateMeasurementConsumer      | measurement_consumer { } |

    @contract-1.3.1/AddMeasurementConsumerOwner
    Examples:
      | method                         | request          |
      | AddMeasurementConsumerOwner    | name: "nonsense" |
      | RemoveMeasurementConsumerOwner | name: "nonsense" |

  @contract-1.3.6
  Scenario Outline: a data provider whose certificate has a SKID in use
    Given the quirk create-consumer-duplicate-skid-is-unknown is <setting>
    When operator calls DataProviders.CreateDataProvider with
      """
      certificate {
        subject_key_identifier: "{edp1.certificate_skid}" details { x509_der: "der" }
        not_valid_before { seconds: 1 } not_valid_after { seconds: 2 }
      }
      details { api_version: "v2alpha" public_key: "k" public_key_signature: "s" }
      """
    Then the call fails with <code>

    Examples:
      | setting       | code                                                      |
      | faithful      | UNKNOWN                                                   |
      | as-documented | ALREADY_EXISTS and reason CERT_SUBJECT_KEY_ID_ALREADY_EXISTS |

  @contract-1.3.1/GetModelProvider
  Scenario Outline: who reads a model provider
    When <actor> calls ModelProviders.GetModelProvider with
      """
      name: "{modelprovider1}"
      """
    Then the call <outcome>

    Examples:
      | actor          | outcome                      |
      | modelprovider1 | succeeds                     |
      | edp1           | succeeds                     |
      | mc1            | succeeds                     |
      | worker1        | fails with PERMISSION_DENIED |

  @contract-1.3.1/GetModelProvider @contract-1.0.12/GetModelProvider @contract-1.0.2
  Scenario: a model provider that does not exist is not found, without ErrorInfo
    When edp1 calls ModelProviders.GetModelProvider with
      """
      name: "modelProviders/AAAAAAAAAZQ"
      """
    Then the call fails with NOT_FOUND
    And the error has no ErrorInfo

  @contract-1.3.1/ListModelProviders
  Scenario: listed by id, in pages
    Given operator calls ModelProviders.CreateModelProvider
    And operator calls ModelProviders.CreateModelProvider
    When edp1 calls ModelProviders.ListModelProviders
    Then the response has 3 model_providers
    And the response field model_providers[0].name is saved as first
    And the response field model_providers[1].name is saved as second
    And the response field model_providers[2].name is saved as third
    When edp1 calls ModelProviders.ListModelProviders with
      """
      page_size: 2
      """
    Then the response lists model_providers[*].name in this order
      | {first}  |
      | {second} |
    And the response field next_page_token is saved as token
    When edp1 calls ModelProviders.ListModelProviders with
      """
      page_size: 2 page_token: "{token}"
      """
    Then the response lists model_providers[*].name in this order
      | {third} |

  @contract-1.0.13/ListModelProviders @contract-1.0.6
  Scenario Outline: page size, then token
    When edp1 calls ModelProviders.ListModelProviders with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case                 | request                                      | code             |
      | negative-size        | page_size: -1 page_token: "not base64!"      | INVALID_ARGUMENT |
      | bad-base64           | page_token: "not base64!"                    | UNKNOWN          |
      | base64-of-no-message | page_token: "____"                           | INVALID_ARGUMENT |

  @contract-1.0.13/ListModelProviders
  Scenario: the token is the internal message
    Given operator calls ModelProviders.CreateModelProvider
    And token is the page token wfa.measurement.internal.kingdom.ListModelProvidersPageToken with
      """
      after { external_model_provider_id: 9223372036854775807 }
      """
    When edp1 calls ModelProviders.ListModelProviders with
      """
      page_token: "{token}"
      """
    Then the response is empty

  @contract-1.3.2
  Scenario Outline: listing without a principal
    Given the quirk list-model-providers-needs-no-principal is <setting>
    And edp1 presents a "akid-absent" certificate
    When edp1 calls ModelProviders.ListModelProviders
    Then the call <outcome>

    Examples:
      | setting       | outcome                    |
      | faithful      | succeeds                   |
      | as-documented | fails with UNAUTHENTICATED |

  @contract-1.3.2
  Scenario: a client certificate is needed all the same
    Given edp1 presents no certificate
    When edp1 calls ModelProviders.ListModelProviders
    Then the connection is refused

  Scenario Outline: a model provider has certificates and no public key
    Given <actor> has a new certificate called fresh
    And <actor> registers its certificate fresh
    When <actor> calls PublicKeys.UpdatePublicKey with
      """
      public_key {
        name: "{<actor>}/publicKey" certificate: "{<actor>.fresh}"
        public_key {
          message { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { format: TINK_KEYSET data: "key" } }
          signature: "s"
        }
      }
      """
    Then the call <outcome>

    @contract-1.3.4
    Examples:
      | actor          | outcome                     |
      | modelprovider1 | fails with INVALID_ARGUMENT |

    @contract-1.2.4
    Examples:
      | actor          | outcome                     |
      | edp1           | succeeds                    |

  @contract-1.3.5/DataProvider
  Scenario: what reads of a data provider fill
    Given edp1 has a new encryption key called fresh
    And edp1 has published its encryption key fresh with its certificate certificate
    And edp1 calls DataProviders.ReplaceDataProviderRequiredDuchies with
      """
      name: "{edp1}" required_duchies: "duchies/worker1"
      """
    And edp1 calls DataProviders.ReplaceDataProviderCapabilities with
      """
      name: "{edp1}" capabilities { trus_tee_supported: true noise_mechanism_none_supported: true }
      """
    When edp1 calls DataProviders.GetDataProvider with
      """
      name: "{edp1}"
      """
    Then the response has
      | name                                        | {edp1}                 |
      | certificate                                 | {edp1.certificate}     |
      | certificate_der                             | {edp1.certificate_der} |
      | public_key.signature                        | {edp1.fresh_signature} |
      | public_key.signature_algorithm_oid          | {edp1.fresh_oid}       |
      | public_key.message.data                     | {edp1.fresh_keyset}    |
      | public_key.data                             | {edp1.fresh_message}   |
      | required_duchies[0]                         | duchies/worker1        |
      | capabilities.trus_tee_supported             | true                   |
      | capabilities.noise_mechanism_none_supported | false                  |
      | data_availability_interval                  | ""                     |
      | display_name                                | ""                     |

  @contract-1.3.5/MeasurementConsumer
  Scenario: what reads of a measurement consumer fill
    Given mc1 has a new encryption key called fresh
    And mc1 has published its encryption key fresh with its certificate certificate
    When mc1 calls MeasurementConsumers.GetMeasurementConsumer with
      """
      name: "{mc1}"
      """
    Then the response has
      | name                               | {mc1}                 |
      | certificate                        | {mc1.certificate}     |
      | certificate_der                    | {mc1.certificate_der} |
      | public_key.signature               | {mc1.fresh_signature} |
      | public_key.signature_algorithm_oid | {mc1.fresh_oid}       |
      | public_key.message.data            | {mc1.fresh_keyset}    |
      | public_key.data                    | {mc1.fresh_message}   |
      | display_name                       | ""                    |
    And the response has 0 owners

  @contract-1.3.5/ModelProvider
  Scenario: what reads of a model provider fill
    When modelprovider1 calls ModelProviders.GetModelProvider with
      """
      name: "{modelprovider1}"
      """
    Then the response has name: {modelprovider1}

  @contract-1.1.3 @contract-1.0.11/CERTIFICATE_NOT_FOUND
  Scenario: a model provider reads another model provider's certificate
    Given operator calls ModelProviders.CreateModelProvider
    Given modelprovider1 has a new certificate called certificate
    When operator calls ModelProviders.CreateModelProvider
    Then the response field external_model_provider_id is saved as other
    When operator calls Certificates.CreateCertificate with
      """
      external_model_provider_id: {other} subject_key_identifier: "x" details { x509_der: "{modelprovider1.certificate_der}" }
      not_valid_before { seconds: 1 } not_valid_after { seconds: 2 }
      """
    Then the response field external_certificate_id is saved as certificate
    When modelprovider1 calls Certificates.ListCertificates with
      """
      parent: "{modelprovider1}"
      """
    Then the response field certificates[0].name is saved as name
    When modelprovider1 calls Certificates.GetCertificate with
      """
      name: "{name}"
      """
    Then the call succeeds
    And the response has x509_der: {modelprovider1.certificate_der}
