@cutover
Feature: From server TLS to mTLS under traffic

  # A caller without a certificate is nobody; with an API key it is its measurement consumer, as long
  # as certificates are not required (quirk no-client-certificate-is-unknown as documented).
  Background:
    Given the quirk no-client-certificate-is-unknown is as-documented
    And a stopping replica waits 200 ms
    And client certificates are off
    And a running Kingdom
    And mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"

  @contract-2.1 @contract-2.6
  Scenario: clients get their certificates before they are required
    Given probes call the Kingdom as mc1
    When the probes go on for 300 ms
    And replicas ask for optional client certificates from their next start on
    And all 2 replicas are restarted
    And the probes go on for 300 ms
    Then the callers without a certificate are mc1
    When mc1 presents a fresh leaf of its root
    And the probing caller mc1 starts again
    And the probes go on for 400 ms
    Then the callers without a certificate are none
    When a call of each probing caller is held for 150 ms
    And replicas ask for required client certificates from their next start on
    And all 2 replicas are restarted
    And the probes go on for 400 ms
    And the probes stop
    Then nobody noticed
    And each held call was answered
    And the calls of mc1 ended on its new credential
    And mc1 is refused without a certificate by every replica, and accepted with its leaf

  @contract-2.1
  Scenario: required too early cuts off who has no certificate yet, and names it
    Given probes call the Kingdom as mc1
    When the probes go on for 300 ms
    And replicas ask for required client certificates from their next start on
    And all 2 replicas are restarted
    And the probes go on for 400 ms
    And mc1 presents a fresh leaf of its root
    And the probes go on for 800 ms
    And the probes stop
    Then the calls of mc1 ended on its new credential
    And mc1's probes of lanes new_connection, reused_channel and server_stream failed with no_client_certificate
      | from  | all 2 replicas are restarted          |
      | until | mc1 presents a fresh leaf of its root |
