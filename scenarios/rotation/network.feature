@rotation
Feature: A rotation over a network that is not perfect

  @contract-2.8
  Scenario: messages that take long
    Given messages of edp1 take 8 ms each way
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 400 ms
    And edp1 presents a fresh leaf of its root
    And the probing caller edp1 starts again
    And the probes go on for 800 ms
    And the probes stop
    Then nobody noticed
    And the calls of edp1 ended on its new credential

  # The server answers, and the caller never hears it: what is lost is lost at the caller alone.
  @contract-2.8 @contract-1.0.14
  Scenario: one way of the network is down while a leaf is rotated
    Given messages of edp1 take 0 ms each way
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 400 ms
    And what edp1 is sent does not arrive
    And edp1 presents a fresh leaf of its root
    And the probes go on for 1500 ms
    And the network of edp1 works again
    And the probing caller edp1 starts again
    And the probes go on for 800 ms
    And the probes stop
    Then mc1 noticed nothing
    And the calls of edp1 ended on its new credential
    And edp1's probes of lanes new_connection, reused_channel and server_stream failed with timeout
      | from  | what edp1 is sent does not arrive |
      | until | the network of edp1 works again   |

  @contract-5.5.4
  Scenario: every open connection is lost, and the caller comes back with its new leaf
    Given messages of edp1 take 30 ms each way
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 400 ms
    And edp1 presents a fresh leaf of its root
    And the probes go on for 300 ms
    And the open connections of edp1 are lost
    And the probes go on for 900 ms
    And the probes stop
    Then mc1 noticed nothing
    And the calls of edp1 ended on its new credential
    And edp1's probes of lanes new_connection, reused_channel and server_stream failed with connection_cut
      | from | the open connections of edp1 are lost |

  # An answer that is owed on a stream when its connection is lost is lost as well; only a GOAWAY lets a
  # stream begin anew unnoticed.
  @contract-5.5.4
  Scenario: what a stream owes is lost with its connection
    Given messages of edp1 take 0 ms each way
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 400 ms
    And edp1 presents a fresh leaf of its root
    And the probing caller edp1 starts again
    And the probes go on for 400 ms
    And what edp1 is sent does not arrive
    And the probes go on for 300 ms
    And the open connections of edp1 are lost
    And the network of edp1 works again
    And the probes go on for 900 ms
    And the probes stop
    Then mc1 noticed nothing
    And the calls of edp1 ended on its new credential
    And edp1's probes of lanes new_connection, reused_channel and server_stream failed with connection_cut, handshake_failed
      | from  | what edp1 is sent does not arrive |
      | until | the network of edp1 works again   |

  # A handshake is some kilobytes: at this rate it takes longer than a caller waits.
  @contract-2.1
  Scenario: a peer that reads too slowly for a handshake
    Given messages of edp1 take 0 ms each way
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 400 ms
    And edp1 presents a fresh leaf of its root
    And edp1 is sent at most 600 bytes a second
    And the probes go on for 1500 ms
    And the network of edp1 works again
    And the probing caller edp1 starts again
    And the probes go on for 800 ms
    And the probes stop
    Then mc1 noticed nothing
    And the calls of edp1 ended on its new credential
    And edp1's probes of lanes new_connection, reused_channel and server_stream failed with timeout
      | from  | edp1 is sent at most 600 bytes a second |
      | until | the network of edp1 works again         |

  # Certificates are judged by the clock of whoever judges.
  @contract-2.1
  Scenario Outline: a client whose clock is wrong refuses the Kingdom's new leaf, and it alone
    Given a stopping replica waits 200 ms
    # So that the first leaf is older than the clock is wrong.
    And the clock moves forward by 5 days
    And the clock of mc1 is <skew>
    And probes call the Kingdom as edp1, edp2 and mc1
    When the probes go on for 300 ms
    And the Kingdom gets a new certificate
    And all 2 replicas are restarted
    And the probes go on for 1200 ms
    And the probes stop
    Then edp1 noticed nothing
    And every replica answers with the Kingdom's new certificate
    And mc1's probes of lanes new_connection, reused_channel and server_stream failed with <cause> to the end
      | from | all 2 replicas are restarted |

    Examples:
      | clock  | skew          | cause         |
      | behind | 2 days behind | not_yet_valid |
