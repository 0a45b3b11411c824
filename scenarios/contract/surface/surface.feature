Feature: What stands beside the services, and how errors travel

  @contract-1.0.14 @contract-1.0.1
  Scenario Outline: each TLS listener tells its services, under their full names
    When <actor> asks for the services of the <listener> listener
    Then the response lists "<service>" among list_services_response.service[*].name

    Examples:
      | case                | actor    | listener | service                                          |
      | public-certificates | edp1     | public   | wfa.measurement.api.v2alpha.Certificates         |
      | public-measurements | edp1     | public   | wfa.measurement.api.v2alpha.Measurements         |
      | system              | worker1  | system   | wfa.measurement.system.v1alpha.Computations      |
      | operator            | operator | operator | wfa.measurement.internal.kingdom.Measurements    |
      | reflection          | edp1     | public   | grpc.reflection.v1.ServerReflection              |

  @contract-1.0.14
  Scenario: reflection needs a client certificate and no principal
    Given edp1 presents a "akid-absent" certificate
    When edp1 asks for the services of the public listener
    Then the response lists "wfa.measurement.api.v2alpha.Certificates" among list_services_response.service[*].name
    Given edp1 presents no certificate
    When edp1 asks for the services of the public listener
    Then the connection is refused

  @contract-1.0.14
  Scenario: reflection is not rate limited
    Given the rate limits are
      """
      rate_limit { default_rate_limit { maximum_request_count: 0 } }
      """
    And all 2 replicas are restarted
    When edp1 asks for the services of the public listener
    Then the response lists "wfa.measurement.api.v2alpha.Certificates" among list_services_response.service[*].name

  @contract-1.0.14
  Scenario: reflection names no health, which has a plaintext listener of its own
    When edp1 asks for the services of the public listener
    Then the response does not list "grpc.health.v1.Health" among list_services_response.service[*].name
    When edp1 calls grpc.health.v1.Health.Check
    Then the response has status: SERVING

  @contract-1.0.14
  Scenario Outline: each service is serving
    When edp1 calls grpc.health.v1.Health.Check with
      """
      service: "<service>"
      """
    Then the call <outcome>

    Examples:
      | service                                       | outcome              |
      | wfa.measurement.api.v2alpha.Certificates      | succeeds             |
      | wfa.measurement.api.v2alpha.Requisitions      | succeeds             |
      | no.such.Service                               | fails with NOT_FOUND |

  @contract-1.0.14
  Scenario Outline: a message has at most 4 MiB
    Given der is <size> bytes
    When edp1 calls Certificates.CreateCertificate with
      """
      parent: "{edp1}" certificate { x509_der: "{der}" }
      """
    Then the call fails with <code>

    Examples:
      | size    | code               |
      | 4000000 | INVALID_ARGUMENT   |
      | 4200000 | RESOURCE_EXHAUSTED |

  @contract-1.0.2
  Scenario: what comes from the data server shows its reason in the public domain, ids as names
    When edp1 calls Certificates.RevokeCertificate with
      """
      name: "{edp1}/certificates/AAAAAAAAAZQ" revocation_state: HOLD
      """
    Then the call fails with NOT_FOUND and reason CERTIFICATE_NOT_FOUND
    And the error domain is "halo.wfanet.org"
    And the error metadata is
      | dataProviderCertificate | {edp1}/certificates/AAAAAAAAAZQ |

  @contract-1.0.2
  Scenario: a reason stays although its code became UNKNOWN
    Given mc1 has a direct reach measurement called m with edp1
    When edp1 calls Requisitions.RefuseRequisition with
      """
      name: "{edp1.m_requisition}" refusal { justification: DECLINED } etag: "other"
      """
    Then the call fails with UNKNOWN and reason REQUISITION_ETAG_MISMATCH
    And the error domain is "halo.wfanet.org"

  @contract-1.0.2 @contract-1.0.12/GetCertificate
  Scenario: what has no reason arrives bare
    When edp1 calls Certificates.GetCertificate with
      """
      name: "duchies/worker9/certificates/AAAAAAAAAZQ"
      """
    Then the call fails with INVALID_ARGUMENT
    And the error has no description
    And the error has no ErrorInfo

  @contract-1.0.3
  Scenario Outline: what the public layer refuses itself has a text and no ErrorInfo
    When edp1 calls Certificates.GetCertificate with
      """
      name: "<name>"
      """
    Then the call fails with <code>
    And the error has a description
    And the error has no ErrorInfo

    Examples:
      | case             | name               | code              |
      | argument         | nonsense           | INVALID_ARGUMENT  |
      | permission       | {edp2.certificate} | PERMISSION_DENIED |

  @contract-1.0.11/DUCHY_NOT_FOUND
  Scenario Outline: an unknown Duchy is named as such
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp2.root_skid}" principal_resource_name: "duchies/worker9" }
      """
    And all 2 replicas are restarted
    And edp2 has a new certificate called second
    When edp2 calls Certificates.<method> with
      """
      <request>
      """
    Then the call fails with NOT_FOUND and reason DUCHY_NOT_FOUND
    And the error metadata is
      | duchy | duchies/worker9 |

    @contract-1.0.12/RevokeCertificate
    Examples:
      | method                 | request                                                                       |
      | RevokeCertificate      | name: "duchies/worker9/certificates/AAAAAAAAAZQ" revocation_state: HOLD       |
      | ReleaseCertificateHold | name: "duchies/worker9/certificates/AAAAAAAAAZQ"                              |

    @contract-1.0.12/CreateCertificate
    Examples:
      | method                 | request                                                                       |
      | CreateCertificate      | parent: "duchies/worker9" certificate { x509_der: "{edp2.second_der}" }       |

  @contract-1.0.12/CreateCertificate
  Scenario Outline: a parent that is gone is named by its kind
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp2.root_skid}" principal_resource_name: "<parent>" }
      """
    And all 2 replicas are restarted
    And edp2 has a new certificate called second
    When edp2 calls Certificates.CreateCertificate with
      """
      parent: "<parent>" certificate { x509_der: "{edp2.second_der}" }
      """
    Then the call fails with NOT_FOUND and reason <reason>
    And the error metadata is
      | <key> | <parent> |

    @contract-1.0.11/MODEL_PROVIDER_NOT_FOUND
    Examples:
      | parent                           | reason                         | key                 |
      | modelProviders/AAAAAAAAAZQ       | MODEL_PROVIDER_NOT_FOUND       | modelProvider       |

    @contract-1.0.11/MEASUREMENT_CONSUMER_NOT_FOUND
    Examples:
      | parent                           | reason                         | key                 |
      | measurementConsumers/AAAAAAAAAZQ | MEASUREMENT_CONSUMER_NOT_FOUND | measurementConsumer |

  @contract-1.0.8
  Scenario: of two writers the last wins
    Given edp1 has a new encryption key called one
    And edp1 has a new encryption key called two
    And edp1 has published its encryption key one with its certificate certificate
    And edp1 has published its encryption key two with its certificate certificate
    When edp1 calls DataProviders.GetDataProvider with
      """
      name: "{edp1}"
      """
    Then the response has public_key.message.data: {edp1.two_keyset}

  @contract-1.1.2/ListCertificates
  Scenario: 50 a page unless it is asked otherwise, and at most 1000
    Given operator keeps a connection open
    And operator registers 1001 certificates for edp1, all valid from one moment
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the response has 50 certificates
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_size: 1001
      """
    Then the response has 1000 certificates

  @contract-1.1.15
  Scenario: of certificates that are valid from the same moment, the lower id comes first
    Given operator registers 5 certificates for edp1, all valid from one moment
    And token is the page token wfa.measurement.api.v2alpha.ListCertificatesPageToken with
      """
      parent_key { external_data_provider_id: {edp1.number} }
      last_certificate { not_valid_before { seconds: 6 } external_certificate_id: 1 parent_key { external_data_provider_id: {edp1.number} } }
      """
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}" page_token: "{token}"
      """
    Then the response has 5 certificates
    And the response lists certificates[*].name by ascending id

  @contract-1.1.15
  Scenario Outline: of certificates with the same id, the parent with the lower id comes first
    When operator calls Certificates.StreamCertificates with
      """
      filter {
        external_data_provider_id: {edp1.number} subject_key_identifiers: "{edp1.certificate_skid}"
        after {
          not_valid_before { seconds: {edp1.certificate_not_before} }
          external_certificate_id: {edp1.certificate_number} external_data_provider_id: <cursor>
        }
      }
      """
    Then the call succeeds
    And the stream has <count> messages

    Examples:
      | case           | cursor        | count |
      | a-lower-parent | 1             | 1     |
      | its-own-parent | {edp1.number} | 0     |
