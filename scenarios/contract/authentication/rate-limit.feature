@contract-1.0.9
Feature: Rate limiting

  Scenario: an empty bucket answers UNAVAILABLE without ErrorInfo
    Given the rate limits are
      """
      rate_limit { default_rate_limit { maximum_request_count: 1 average_request_rate: 0.001 } }
      """
    And replica 1 is stopped
    And replica 0 is restarted
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAVAILABLE
    And the error has no ErrorInfo
    And the server recorded a refused call with cause rate_limited

  Scenario: all callers share the base bucket
    Given the rate limits are
      """
      rate_limit { default_rate_limit { maximum_request_count: 1 average_request_rate: 0.001 } }
      """
    And replica 1 is stopped
    And replica 0 is restarted
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When mc1 reads the certificate mc1.certificate
    Then the call fails with UNAVAILABLE

  Scenario: a method with its own limit has its own bucket
    Given the rate limits are
      """
      rate_limit {
        default_rate_limit { maximum_request_count: -1 }
        per_method_rate_limit {
          key: "wfa.measurement.api.v2alpha.Certificates/GetCertificate"
          value { maximum_request_count: 0 }
        }
      }
      """
    And all 2 replicas are restarted
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAVAILABLE
    When edp1 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the call succeeds

  @contract-1.0.10
  Scenario: a token returns with time
    Given the rate limits are
      """
      rate_limit { default_rate_limit { maximum_request_count: 1 average_request_rate: 0.1 } }
      """
    And replica 1 is stopped
    And replica 0 is restarted
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAVAILABLE
    When the clock moves forward by 11 seconds
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds

  Scenario: a configuration without rate_limit does not start
    Given the rate limits are
      """
      principal_rate_limit_override { key: "AB" value { } }
      """
    Then replica 0 does not start
