Feature: Who has no certificate yet is named before certificates are required

  # edp1 has its certificate and is known by it; mc1 calls with an API key alone, and is known by that.
  Background:
    Given the quirk no-client-certificate-is-unknown is as-documented
    And a stopping replica waits 100 ms
    And client certificates are optional

  @contract-2.1
  Scenario: prepare waits for a replica that is down
    Given mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom as edp1 and mc1
    And a procedure cuts the Kingdom over to mTLS, with the peers edp1 and mc1
    And the probes go on for 300 ms
    When replica 1 is stopped
    Then the gate of prepare stays shut for 300 ms because "replica 1 does not run"
    When replica 1 is started
    Then the gate of prepare opens within 1000 ms

  @contract-2.1 @contract-2.6
  Scenario: prepare waits for a peer that has not been seen
    Given mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom as edp1
    And a procedure cuts the Kingdom over to mTLS, with the peers edp1 and mc1
    When the probes go on for 200 ms
    Then the gate of prepare stays shut for 300 ms because "mc1 has not been seen"
    When the probes stop
    And probes call the Kingdom as edp1 and mc1
    And the probes go on for 700 ms
    Then the gate of prepare opens within 1000 ms

  @cutover @contract-2.1 @contract-2.6
  Scenario: switch waits for the caller that shows no certificate
    Given mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom 400 times a second as edp1 and mc1
    And a procedure cuts the Kingdom over to mTLS, with the peers edp1 and mc1
    When mc1 lags behind
    And the phases up to distribute are done
    Then the gate of switch stays shut for 400 ms because "mc1 shows no certificate"
    And the callers without a certificate are mc1
    When mc1 catches up
    Then the gate of switch opens within 1000 ms
    And the callers without a certificate are none
    When the phases up to retire are done
    And the probes go on for 100 ms
    And the probes stop
    Then nobody noticed
    And mc1 is refused without a certificate by every replica, and accepted with its leaf

  @contract-2.1 @contract-2.6
  Scenario: the caller that nobody thought of keeps switch shut too
    Given mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom 400 times a second as edp1 and mc1
    And a procedure cuts the Kingdom over to mTLS, with the peer edp1
    When the phases up to distribute are done
    Then the gate of switch stays shut for 500 ms because "mc1 shows no certificate"

  @cutover @contract-2.1
  Scenario: drain waits for a replica that was not restarted
    Given mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom as edp1 and mc1
    And a procedure cuts the Kingdom over to mTLS, with the peers edp1 and mc1
    And the probes go on for 200 ms
    When replica 1 lags behind
    And the phases up to switch are done
    Then the gate of drain stays shut for 300 ms because "replica 1 does not require a certificate"
    When replica 1 catches up
    And the phases up to retire are done
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And mc1 is refused without a certificate by every replica, and accepted with its leaf

  # A connection that was made without a certificate goes on without one until it closes.
  @contract-2.1 @contract-5.5.4
  Scenario: retire waits for the last connection without a certificate
    Given a Kingdom with 1 replica
    And mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom 400 times a second as edp1 and mc1
    And a procedure cuts the Kingdom over to mTLS, with the peers edp1 and mc1
    When the phases up to distribute are done
    And replica 0 lags behind
    And the phase switch is done
    And the phase drain is forced
    Then the gate of retire stays shut for 300 ms because "replica 0 does not require a certificate; open connections of mc1 came without a certificate"
    When replica 0 catches up
    Then the gate of retire opens within 1000 ms
    When the probes go on for 900 ms
    And the probes stop
    Then the probes of lanes new_connection and reused_channel failed with nobody_listens
      | from | replica 0 catches up |

  # No connection without a certificate is open for long, and the next one would be accepted.
  @contract-2.1
  Scenario: retire waits for a replica that went back to optional
    Given mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom as edp1 and mc1
    And a procedure cuts the Kingdom over to mTLS, with the peers edp1 and mc1
    When the phases up to drain are done
    And replicas ask for optional client certificates from their next start on
    And replica 1 is restarted
    Then the gate of retire stays shut for 300 ms because "replica 1 does not require a certificate"
    When replicas ask for required client certificates from their next start on
    And replica 1 is restarted
    Then the gate of retire opens within 1000 ms

  @contract-2.1
  Scenario: a switch that is forced past its gate cuts off who lags, it alone, and only until the way back
    Given mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom as edp1 and mc1
    And a procedure cuts the Kingdom over to mTLS, with the peers edp1 and mc1
    When mc1 lags behind
    And the phases up to distribute are done
    And the phase switch is forced
    And the probes go on for 300 ms
    And the procedure is aborted
    And the procedure is rolled back
    And the probes go on for 900 ms
    And the probes stop
    Then edp1 noticed nothing
    And mc1 is served without a certificate by every replica
    And the callers without a certificate are mc1
    And mc1's probes of lanes new_connection, reused_channel and server_stream failed with no_client_certificate
      | from  | the phase switch is forced   |
      | until | the procedure is rolled back |

  # From required to optional: edp1 goes on with its certificate, mc1 needs none any more.
  @cutover @contract-2.1 @contract-2.6
  Scenario Outline: rolled back to optional
    Given mc1 presents no certificate
    And mc1 sends the API key "{mc1.api_key}"
    And probes call the Kingdom as edp1 and mc1
    And a procedure cuts the Kingdom over to mTLS, with the peers edp1 and mc1
    And the probes go on for 200 ms
    When the phases up to <from> are done
    And the probes go on for 100 ms
    Then mc1 is refused without a certificate by every replica, and accepted with its leaf
    When the procedure is aborted
    And the procedure is rolled back
    And the probes go on for 300 ms
    And the probes stop
    Then nobody noticed
    And mc1 is served without a certificate by every replica
    And the callers without a certificate are mc1

    Examples:
      | from   |
      | switch |
      | retire |
