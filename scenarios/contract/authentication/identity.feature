Feature: Who a caller is

  @contract-2.4 @contract-2.8
  Scenario Outline: the issuing root is the identity
    When <actor> reads the certificate worker1.certificate
    Then the call succeeds
    And the server knew the caller as "{<actor>}"

    Examples:
      | actor          |
      | edp1           |
      | edp2           |
      | mc1            |
      | modelprovider1 |
      | worker1        |
      | aggregator     |

  @contract-2.8
  Scenario: any leaf of the mapped root is that principal, and the old one stays good
    Given edp1 presents a fresh leaf of its root
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    And the server knew the caller as "{edp1}"
    Given edp1 presents a fresh leaf of its root
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    And the server knew the caller as "{edp1}"

  @contract-2.8
  Scenario: revoking an API certificate does not touch the identity
    Given edp1's certificate is in state REVOKED
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    And the server knew the caller as "{edp1}"

  @contract-2.3
  Scenario Outline: a leaf without key identifier of its authority passes the door and has no identity
    Given edp1 presents a "<kind>" certificate
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAUTHENTICATED
    And the error has no ErrorInfo
    And the server recorded an accepted handshake
    And the server did not know the caller
    And the server recorded a refused call with cause akid_missing

    Examples:
      | kind                |
      | akid-absent         |
      | akid-without-key-id |

  @contract-2.3
  Scenario: a leaf with its intermediate has no identity, faithfully
    Given edp1 presents a "through-intermediate" certificate
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAUTHENTICATED
    And the server recorded an accepted handshake
    And the server recorded a refused call with cause chain_not_single

  @contract-2.3
  Scenario: as documented, the identifier of a chain's leaf is looked up
    Given the quirk client-chain-has-no-identity is as-documented
    And edp1 presents a "through-intermediate" certificate
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAUTHENTICATED
    And the server recorded a refused call with cause principal_unknown

  @contract-2.4
  Scenario: a trusted root that no map names gives no principal
    Given edp1 gets a new root
    And the trust bundle includes edp1's new root
    And all 2 replicas are restarted
    And edp1 presents a leaf of its new root
    When edp1 reads the certificate edp1.certificate
    Then the call fails with UNAUTHENTICATED
    And the server recorded an accepted handshake
    And the server recorded a refused call with cause principal_unknown

  @contract-2.4
  Scenario: a known principal that may not is refused otherwise than an unknown one
    When edp2 calls Certificates.ListCertificates with
      """
      parent: "{edp1}"
      """
    Then the call fails with PERMISSION_DENIED
    And the server knew the caller as "{edp2}"
    And the server recorded a refused call with cause permission_denied

  @contract-2.9
  Scenario: two roots may stand for one principal
    Given edp1 gets a new root
    And the trust bundle includes edp1's new root
    And the principal map gains
      """
      entries { authority_key_identifier: "{edp1.new_root_skid}" principal_resource_name: "{edp1}" }
      """
    And all 2 replicas are restarted
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    Given edp1 presents a leaf of its new root
    When edp1 reads the certificate edp1.certificate
    Then the call succeeds
    And the server knew the caller as "{edp1}"

  @contract-2.9
  Scenario: of two entries for one key identifier the last wins
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp1.root_skid}" principal_resource_name: "{edp2}" }
      """
    And all 2 replicas are restarted
    When edp1 reads the certificate edp2.certificate
    Then the call succeeds
    And the server knew the caller as "{edp2}"

  @contract-2.9
  Scenario Outline: an entry that names no accepted resource is as if it were absent
    Given the principal map is
      """
      entries { authority_key_identifier: "{edp1.root_skid}" principal_resource_name: "<name>" }
      """
    And all 2 replicas are restarted
    When edp1 reads the certificate worker1.certificate
    Then the call fails with UNAUTHENTICATED
    And the server recorded a refused call with cause principal_unknown

    Examples:
      | case               | name                    |
      | unknown-collection | eventGroups/AAAAAAAAAZQ |
      | malformed-name     | dataProviders           |
      | empty-name         |                         |

  @contract-2.4 @contract-2.10
  Scenario: without an entry in the map, the Duchy information decides
    Given the principal map is
      """
      entries { authority_key_identifier: "{worker1.root_skid}" principal_resource_name: "nonsense" }
      """
    And all 2 replicas are restarted
    When worker1 reads the certificate worker1.certificate
    Then the call succeeds
    And the server knew the caller as "{worker1}"

  @contract-2.4 @contract-2.10
  Scenario: an entry in the map comes before the Duchy information
    Given the principal map gains
      """
      entries { authority_key_identifier: "{worker1.root_skid}" principal_resource_name: "{edp1}" }
      """
    And all 2 replicas are restarted
    When worker1 reads the certificate edp1.certificate
    Then the call succeeds
    And the server knew the caller as "{edp1}"
