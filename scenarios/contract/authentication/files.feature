Feature: Files are read at the start

  @contract-2.9
  Scenario: a change of the map waits for a restart, replica by replica
    Given edp1 gets a new root
    And the trust bundle includes edp1's new root
    And all 2 replicas are restarted
    And edp1 presents a leaf of its new root
    And the principal map gains
      """
      entries { authority_key_identifier: "{edp1.new_root_skid}" principal_resource_name: "{edp1}" }
      """
    When edp1 calls Certificates.GetCertificate on replica 0 with
      """
      name: "{edp1.certificate}"
      """
    Then the call fails with UNAUTHENTICATED
    When replica 0 is restarted
    And edp1 calls Certificates.GetCertificate on replica 0 with
      """
      name: "{edp1.certificate}"
      """
    Then the call succeeds
    And the call was answered by replica 0
    When edp1 calls Certificates.GetCertificate on replica 1 with
      """
      name: "{edp1.certificate}"
      """
    Then the call fails with UNAUTHENTICATED
    And the server recorded a refused call with cause principal_unknown

  @contract-2.8
  Scenario: removing the root cuts its leaves off, once the replicas restart
    When the trust bundle no longer includes edp1's root
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When all 2 replicas are restarted
    And edp1 reads the certificate edp1.certificate
    Then the connection is refused
    And the server recorded a refused handshake with cause unknown_issuer
    When edp2 reads the certificate edp2.certificate
    Then the call succeeds

  @contract-2.9
  Scenario: a replica that reads while it runs needs no restart
    Given replicas read changed files while they run
    And edp1 gets a new root
    And edp1 presents a leaf of its new root
    When edp1 reads the certificate edp1.certificate
    Then the connection is refused
    When the trust bundle includes edp1's new root
    And the principal map gains
      """
      entries { authority_key_identifier: "{edp1.new_root_skid}" principal_resource_name: "{edp1}" }
      """
    And 3 seconds pass
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds
    And the server knew the caller as "{edp1}"

  @contract-2.8
  Scenario: an open connection outlives the removal of its root
    Given replicas read changed files while they run
    And edp1 keeps a connection open
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When the trust bundle no longer includes edp1's root
    And 3 seconds pass
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds
    When edp1 closes its connection
    And edp1 reads the certificate edp1.certificate
    Then the connection is refused

  @contract-2.11
  Scenario Outline: a trust entry that is no root with SKID keeps a replica from starting
    Given a running Kingdom
    When the trust bundle includes a "<kind>" root
    Then replica 0 does not start
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    And the call was answered by replica 1

    Examples:
      | kind                   |
      | root-without-skid      |
      | root-with-foreign-akid |
      | intermediate-as-root   |

  @contract-2.11
  Scenario: a trust entry without AKID is a root
    Given a running Kingdom
    When the trust bundle includes a "root-without-akid" root
    And all 2 replicas are restarted
    And edp1 reads the certificate edp1.certificate
    Then the call succeeds

  @contract-2.11
  Scenario: an unknown field in the map keeps a replica from starting
    Given the principal map gains
      """
      entries { authority_key: "x" }
      """
    Then replica 0 does not start

  @contract-2.10
  Scenario: Duchy information without an entry keeps a replica from starting
    Given the Duchy information is
      """
      """
    Then replica 0 does not start

  @contract-2.11
  Scenario: a bad file leaves a running replica as it was
    Given the principal map gains
      """
      entries { authority_key: "x" }
      """
    Then replica 0 does not reload
    When edp1 calls Certificates.GetCertificate on replica 0 with
      """
      name: "{edp1.certificate}"
      """
    Then the call succeeds

  @contract-2.11
  Scenario: of two roots with the same key identifier the last counts
    When the trust bundle includes a "root-with-authoritys-skid" root
    And all 2 replicas are restarted
    And edp1 reads the certificate edp1.certificate
    Then the connection is refused
    When edp2 reads the certificate edp2.certificate
    Then the call succeeds

  @contract-2.16
  Scenario Outline: Duchies are those of the Duchy id list
    Given the Duchy id list is
      """
      duchies { external_duchy_id: "aggregator" internal_duchy_id: 1 active_start_time { seconds: 1640995200 } }
      duchies { external_duchy_id: "worker1" internal_duchy_id: 2 active_start_time { seconds: 1640995200 } active_end_time { seconds: 1640995201 } }
      """
    And all 2 replicas are restarted
    When edp1 calls Certificates.GetCertificate with
      """
      name: "duchies/<duchy>/certificates/AAAAAAAAAZQ"
      """
    Then the call fails with <code>

    Examples:
      | duchy   | code             |
      | worker1 | UNKNOWN          |
      | worker2 | INVALID_ARGUMENT |

  @contract-2.16
  Scenario: an unknown field in the Duchy id list keeps a replica from starting
    When the Duchy id list gains
      """
      duchies { external_duchy_id: "worker9" nonsense: 1 }
      """
    Then replica 0 does not start
