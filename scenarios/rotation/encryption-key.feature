@rotation
Feature: An encryption key is rotated with measurements in flight

  # A requisition is encrypted to the key that its creator saw. Its owner needs that key until the
  # requisition is done, and as long as a cache may still hand it out (3.13.4).

  @contract-1.2.4 @contract-3.10/7
  Scenario: the old key is kept for what was encrypted to it: none is lost
    Given probes call the Kingdom as edp1 and mc1
    And mc1 creates 2 reach measurements called before with edp1
    When edp1 puts a new encryption key in force
    And mc1 creates 2 reach measurements called after with edp1
    And edp1 handles its requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | mc1.before1 | SUCCEEDED |
      | mc1.before2 | SUCCEEDED |
      | mc1.after1  | SUCCEEDED |
      | mc1.after2  | SUCCEEDED |
    And the requisitions of edp1 are exactly
      | mc1.before1 | FULFILLED | certificate | first key |
      | mc1.before2 | FULFILLED | certificate | first key |
      | mc1.after1  | FULFILLED | certificate | later key |
      | mc1.after2  | FULFILLED | certificate | later key |

  @contract-3.10/7
  Scenario: the old key is dropped first, and what was encrypted to it is refused, and nothing else
    Given probes call the Kingdom 100 times a second as edp1
    And mc1 creates 2 reach measurements called before with edp1
    When edp1 puts a new encryption key in force and drops the old one
    And mc1 creates 2 reach measurements called after with edp1
    And edp1 handles its requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the requisitions of edp1 are exactly
      | mc1.before1 | REFUSED CONSENT_SIGNAL_INVALID | certificate | first key |
      | mc1.before2 | REFUSED CONSENT_SIGNAL_INVALID | certificate | first key |
      | mc1.after1  | FULFILLED                      | certificate | later key |
      | mc1.after2  | FULFILLED                      | certificate | later key |

  # The real program loads one key (quirk one-decryption-key-loaded): a key that is kept does not help,
  # only a drain before the switch does.
  @contract-3.10/7
  Scenario: with one loaded key, drained before the switch: none is lost
    Given the quirk one-decryption-key-loaded is faithful
    And probes call the Kingdom 100 times a second as edp1
    And mc1 creates 2 reach measurements called before with edp1
    When edp1 handles its requisitions
    And edp1 puts a new encryption key in force
    And mc1 creates 1 reach measurement called after with edp1
    And edp1 handles the new requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | mc1.before1 | SUCCEEDED |
      | mc1.before2 | SUCCEEDED |
      | mc1.after1  | SUCCEEDED |

  @contract-3.10/7
  Scenario: with one loaded key, switched before the drain: what was encrypted to the old one is refused
    Given the quirk one-decryption-key-loaded is faithful
    And probes call the Kingdom 100 times a second as edp1
    And mc1 creates 2 reach measurements called before with edp1
    When edp1 puts a new encryption key in force
    And mc1 creates 1 reach measurement called after with edp1
    And edp1 handles its requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | mc1.before1 | FAILED REQUISITION_REFUSED |
      | mc1.before2 | FAILED REQUISITION_REFUSED |
      | mc1.after1  | SUCCEEDED                  |

  # The real process ends at the first such requisition, again and again: all newer ones stand still.
  @contract-3.10.1 @contract-3.10/7
  Scenario: with one loaded key and a process that ends, everything newer stands still
    Given the quirk one-decryption-key-loaded is faithful
    And the quirk provider-dies-instead-of-refusing is faithful
    And probes call the Kingdom 100 times a second as edp1
    And mc1 creates 1 reach measurement called before with edp1
    When edp1 puts a new encryption key in force
    And mc1 creates 2 reach measurements called after with edp1
    And edp1 handles its requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | mc1.before1 | AWAITING_REQUISITION_FULFILLMENT |
      | mc1.after1  | AWAITING_REQUISITION_FULFILLMENT |
      | mc1.after2  | AWAITING_REQUISITION_FULFILLMENT |

  @contract-3.13.4/b @contract-3.13.4/d
  Scenario: reporting caches for an hour, and the old key is kept as long: none is lost
    Given the quirk reporting-stale-caches is faithful
    And probes call the Kingdom 100 times a second as edp1
    And reporting creates a reach measurement called first with edp1
    When edp1 puts a new encryption key in force
    And edp1 handles its requisitions
    And the clock moves forward by 59 minutes
    And reporting creates a reach measurement called stale with edp1
    And the clock moves forward by 2 minutes
    And reporting creates a reach measurement called fresh with edp1
    And edp1 handles the new requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the requisitions of edp1 are exactly
      | reporting.first | FULFILLED | certificate | first key |
      | reporting.stale | FULFILLED | certificate | first key |
      | reporting.fresh | FULFILLED | certificate | later key |

  @contract-3.13.4/b @contract-3.10/7
  Scenario: reporting caches for an hour, and a key that is dropped within it refuses what came since
    Given the quirk reporting-stale-caches is faithful
    And probes call the Kingdom 100 times a second as edp1
    And reporting creates a reach measurement called first with edp1
    When edp1 handles its requisitions
    And edp1 puts a new encryption key in force and drops the old one
    And the clock moves forward by 59 minutes
    And reporting creates a reach measurement called stale with edp1
    And the clock moves forward by 2 minutes
    And reporting creates a reach measurement called fresh with edp1
    And edp1 handles the new requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And the measurements of mc1 are exactly
      | reporting.first | SUCCEEDED                  |
      | reporting.stale | FAILED REQUISITION_REFUSED |
      | reporting.fresh | SUCCEEDED                  |

  # A consumer's key: results are encrypted to the one that the measurement names (3.13.5).
  @contract-3.13.5
  Scenario: a consumer keeps its old key until its open measurements are read
    Given probes call the Kingdom 100 times a second as edp1
    And mc1 creates 1 reach measurement called before with edp1
    When mc1 puts a new encryption key in force
    And mc1 creates 1 reach measurement called after with edp1
    And edp1 handles its requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And mc1 accepts the results of mc1.after1
    And mc1 accepts the results of mc1.before1

  @contract-3.13.5 @contract-3.13.2/c
  Scenario: a consumer that drops its old key first cannot read what was measured under it
    Given probes call the Kingdom 100 times a second as edp1
    And mc1 creates 1 reach measurement called before with edp1
    When mc1 puts a new encryption key in force and drops the old one
    And mc1 creates 1 reach measurement called after with edp1
    And edp1 handles its requisitions
    And the probes go on for 700 ms
    And the probes stop
    Then nobody noticed
    And mc1 accepts the results of mc1.after1
    And mc1 rejects the results of mc1.before1 by 3.13.2/c
