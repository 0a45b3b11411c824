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

  @contract-1.0.10
  Scenario Outline: what a refill does with the fraction of a token earned
    Given the quirk rate-limiter-drops-fraction is <setting>
    And the rate limits are
      """
      rate_limit { default_rate_limit { maximum_request_count: 2 average_request_rate: 0.01 } }
      """
    And replica 1 is stopped
    And replica 0 is restarted
    And edp1 reads the certificate edp1.certificate
    And edp1 reads the certificate edp1.certificate
    When the clock moves forward by 150 seconds
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When the clock moves forward by 55 seconds
    And edp1 reads the certificate edp1.certificate
    Then the call <outcome>

    Examples:
      | setting       | outcome                |
      | faithful      | fails with UNAVAILABLE |
      | as-documented | succeeds               |

  @contract-1.0.10
  Scenario: a bucket starts full and never holds more than its size
    Given the rate limits are
      """
      rate_limit { default_rate_limit { maximum_request_count: 2 average_request_rate: 0.01 } }
      """
    And replica 1 is stopped
    And replica 0 is restarted
    When the clock moves forward by 1 day
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAVAILABLE

  Scenario Outline: a caller whose key identifier has an override uses that set, and only that
    Given the rate limits are
      """
      rate_limit {
        default_rate_limit { maximum_request_count: <base> }
        per_method_rate_limit {
          key: "wfa.measurement.api.v2alpha.Certificates/GetCertificate" value { maximum_request_count: 0 }
        }
      }
      principal_rate_limit_override {
        key: "{edp1.root_akid}" value { default_rate_limit { maximum_request_count: <override> } }
      }
      """
    And all 2 replicas are restarted
    When <actor> reads the certificate <actor>.certificate
    Then the call <outcome>

    Examples:
      | case                                   | base | override | actor | outcome                |
      | override-lifts-the-base                | 0    | -1       | edp1  | succeeds               |
      | others-keep-the-base                   | 0    | -1       | edp2  | fails with UNAVAILABLE |
      | override-of-zero-refuses               | -1   | 0        | edp1  | fails with UNAVAILABLE |
      | no-per-method-entries-are-inherited    | -1   | -1       | edp1  | succeeds               |
      | the-base-keeps-its-per-method-entries  | -1   | -1       | edp2  | fails with UNAVAILABLE |

  Scenario: a caller without key identifier shares the base set
    Given the rate limits are
      """
      rate_limit { default_rate_limit { maximum_request_count: 1 average_request_rate: 0.001 } }
      """
    And replica 1 is stopped
    And replica 0 is restarted
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    Given edp2 presents a "akid-absent" certificate
    When edp2 reads the certificate edp1.certificate
    Then the call fails with UNAVAILABLE

  Scenario: the limiter comes before the principal
    Given the rate limits are
      """
      rate_limit { default_rate_limit { maximum_request_count: 0 } }
      """
    And all 2 replicas are restarted
    And edp1 presents a "akid-absent" certificate
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAVAILABLE
