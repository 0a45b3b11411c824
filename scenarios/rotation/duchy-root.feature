Feature: A Duchy's root is rotated

  # On the public API an entry of the principal map gives the overlap (2.10).
  @contract-2.10 @contract-2.9
  Scenario: a Duchy's root overlaps on the public API by way of the principal map
    Given worker1 gets a new root
    And the trust bundle includes worker1's new root
    And the principal map knows worker1's new root
    And all 2 replicas are restarted
    When worker1 reads the certificate worker1.certificate
    Then the call succeeds
    Given worker1 presents a leaf of its new root
    When worker1 reads the certificate worker1.certificate
    Then the call succeeds

  # Listed in deviations.toml: old and new leaf ought to work side by side, and one of them does not.
  @contract-2.10
  Scenario: a Duchy's root overlaps on the system API
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And worker1 gets a new root
    And the trust bundle includes worker1's new root
    And the Duchy information gains
      """
      duchies {
        duchy_id: "worker1"
        computation_control_service_cert_host: "localhost"
        root_certificate_skid: "{worker1.new_root_skid}"
      }
      """
    And all 2 replicas are restarted
    And worker1 presents a leaf of its new root
    When worker1 calls system Computations.GetComputation with
      """
      name: "{mc1.m_computation}"
      """
    Then the call succeeds
    Given worker1 presents its first leaf again
    When worker1 calls system Computations.GetComputation with
      """
      name: "{mc1.m_computation}"
      """
    Then the call succeeds

  @contract-2.10
  Scenario: on the flag day the new root works and the old one is dead
    Given mc1 has an LLv2 reach measurement called m with edp1 and edp2
    And worker1 gets a new root
    And the trust bundle includes worker1's new root
    And the Duchy information gains
      """
      duchies {
        duchy_id: "worker1"
        computation_control_service_cert_host: "localhost"
        root_certificate_skid: "{worker1.new_root_skid}"
      }
      """
    And all 2 replicas are restarted
    When worker1 calls system Computations.GetComputation with
      """
      name: "{mc1.m_computation}"
      """
    Then the call fails with UNAUTHENTICATED
    And the server recorded a refused call with cause principal_unknown
    Given worker1 presents a leaf of its new root
    When worker1 sets its parameters for mc1.m
    Then the call succeeds
