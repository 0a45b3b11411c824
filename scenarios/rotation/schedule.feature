Feature: A fleet renews its leaves by schedule

  # Seven participants and the Kingdom, one after the other: a leaf is valid for 90 days and replaced 30 days
  # before it ends. The clock jumps an hour for every probe and stands still around each switch. In
  # simulation only, its negative twins too.
  @rotation @virtual-time @contract-2.8 @contract-5.4.2
  Scenario: a year of a fleet of eight
    Given everybody probes the Kingdom
    When the fleet renews its 90-day leaves 30 days before they end, for 365 days
    And the probes stop
    Then nobody noticed
    And 49 rotations were seen, and a probe failed after none of them
