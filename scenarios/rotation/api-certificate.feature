@rotation
Feature: An API certificate is rotated with measurements in flight

  # TLS does not know API certificates (1.6.2): no probe notices anything, whatever the order. What the
  # order decides is which measurements are lost: those that still wait for a requisition bound to the
  # certificate when it is revoked (1.6.3).

  @contract-1.6.5 @contract-1.6.2
  Scenario: created, put in force, drained, revoked: none is lost
    Given probes call the Kingdom as edp1 and mc1
    And mc1 creates 2 reach measurements called before with edp1
    And edp1 has a new certificate called second
    When edp1 registers its certificate second
    And edp1 signs with its certificate second
    And edp1 publishes its encryption key under the certificate that it signs with
    And mc1 creates 2 reach measurements called after with edp1
    And edp1 handles its requisitions
    And mc1 creates 1 reach measurement called late with edp1
    And edp1's certificate is in state REVOKED
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | mc1.before1 | SUCCEEDED                        |
      | mc1.before2 | SUCCEEDED                        |
      | mc1.after1  | SUCCEEDED                        |
      | mc1.after2  | SUCCEEDED                        |
      | mc1.late1   | AWAITING_REQUISITION_FULFILLMENT |
    And the requisitions of edp1 are exactly
      | mc1.before1 | FULFILLED   | certificate | first key |
      | mc1.before2 | FULFILLED   | certificate | first key |
      | mc1.after1  | FULFILLED   | second      | first key |
      | mc1.after2  | FULFILLED   | second      | first key |
      | mc1.late1   | UNFULFILLED | second      | first key |

  @contract-1.6.3 @contract-1.6.5
  Scenario: revoked before the drain, it takes with it what waits for it, and nothing else
    Given probes call the Kingdom 100 times a second as edp1
    And mc1 creates 1 reach measurement called done with edp1
    And edp1 handles its requisitions
    And mc1 creates 2 reach measurements called before with edp1
    And mc1 creates 1 reach measurement called both with edp1 and edp2
    And edp1 has a new certificate called second
    When edp1 registers its certificate second
    And edp1 signs with its certificate second
    And edp1 publishes its encryption key under the certificate that it signs with
    And mc1 creates 2 reach measurements called after with edp1
    And edp1's certificate is in state REVOKED
    And edp1 handles its requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the requisitions of edp2 are exactly
      | mc1.both1 | WITHDRAWN | certificate | first key |
    And the measurements of mc1 are exactly
      | mc1.done1   | SUCCEEDED                  |
      | mc1.before1 | FAILED CERTIFICATE_REVOKED |
      | mc1.before2 | FAILED CERTIFICATE_REVOKED |
      | mc1.both1   | FAILED CERTIFICATE_REVOKED |
      | mc1.after1  | SUCCEEDED                  |
      | mc1.after2  | SUCCEEDED                  |

  @contract-1.6.5 @contract-1.6.1
  Scenario: revoked before the key has moved, it stops new measurements until the key moves
    Given probes call the Kingdom 100 times a second as edp1
    And mc1 creates 1 reach measurement called before with edp1
    And edp1 has a new certificate called second
    When edp1 registers its certificate second
    And edp1's certificate is in state REVOKED
    And mc1 creates a reach measurement with edp1
    Then the call fails with FAILED_PRECONDITION and reason CERTIFICATE_IS_INVALID
    When edp1 signs with its certificate second
    And edp1 publishes its encryption key under the certificate that it signs with
    And mc1 creates 1 reach measurement called after with edp1
    And edp1 handles its requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | mc1.before1 | FAILED CERTIFICATE_REVOKED |
      | mc1.after1  | SUCCEEDED                  |

  # Reporting keeps a provider and its certificate for an hour and names the old one until then (3.13.4 b).
  # The Kingdom binds the requisition to the provider's present certificate whatever is named (1.5.12).
  @contract-3.13.4/b @contract-1.5.12
  Scenario: reporting names the old certificate for an hour, which the Kingdom ignores: none is lost
    Given the quirk reporting-stale-caches is faithful
    And probes call the Kingdom 100 times a second as edp1
    And reporting creates a reach measurement called first with edp1
    And edp1 has a new certificate called second
    When edp1 registers its certificate second
    And edp1 signs with its certificate second
    And edp1 publishes its encryption key under the certificate that it signs with
    And reporting creates a reach measurement called stale with edp1
    And edp1 handles its requisitions
    And edp1's certificate is in state REVOKED
    And reporting creates a reach measurement called later with edp1
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | reporting.first | SUCCEEDED                        |
      | reporting.stale | SUCCEEDED                        |
      | reporting.later | AWAITING_REQUISITION_FULFILLMENT |
    And the requisitions of edp1 are exactly
      | reporting.first | FULFILLED   | certificate | first key |
      | reporting.stale | FULFILLED   | second      | first key |
      | reporting.later | UNFULFILLED | second      | first key |

  # The two entries need not be of one age (3.13.4 c).
  @contract-3.13.4/c @contract-3.13.1/c
  Scenario: reporting's certificate runs out before its provider does, and it creates nothing until both have
    Given the quirk reporting-stale-caches is faithful
    And probes call the Kingdom 100 times a second as edp1
    And reporting creates a reach measurement called first with edp1
    And edp1 handles its requisitions
    And the clock moves forward by 61 minutes
    And reporting reads the results of reporting.first
    And the clock moves forward by 29 minutes
    And reporting creates a reach measurement called held with edp1
    And edp1 has a new certificate called second
    When edp1 registers its certificate second
    And edp1 signs with its certificate second
    And edp1 publishes its encryption key under the certificate that it signs with
    And edp1 handles the new requisitions
    And edp1's certificate is in state REVOKED
    And the clock moves forward by 32 minutes
    And reporting creates a reach measurement called refused with edp1
    Then reporting answers FAILED_PRECONDITION
    When the clock moves forward by 30 minutes
    And reporting creates a reach measurement called fresh with edp1
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | reporting.first | SUCCEEDED                        |
      | reporting.held  | SUCCEEDED                        |
      | reporting.fresh | AWAITING_REQUISITION_FULFILLMENT |
