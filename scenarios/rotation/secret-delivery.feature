@rotation
Feature: A changed Secret reaches the replicas, or does not

  @contract-5.1.2 @contract-5.4.2
  Scenario: a hashed name and a rolling restart
    Given each content of the Secret has a name of its own
    And a stopping replica waits 300 ms
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 200 ms
    And the Kingdom gets a new certificate
    And all 2 replicas are restarted
    And the probes go on for 500 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate

  Scenario: an update in place, read while the replicas run
    Given a changed Secret reaches mounted volumes after 400 ms
    And replicas read changed files while they run
    And probes call the Kingdom as edp1
    When the probes go on for 200 ms
    And the Kingdom gets a new certificate
    And the probes go on for 2200 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate

  # Restarted before the kubelet has synced, a replica reads the old content again.
  @contract-5.4.1 @contract-5.4.2
  Scenario: an update in place, and a restart once it has arrived
    Given a changed Secret reaches mounted volumes after 400 ms
    And a stopping replica waits 100 ms
    And probes call the Kingdom as edp1
    When the probes go on for 200 ms
    And the Kingdom gets a new certificate
    And the probes go on for 600 ms
    And all 2 replicas are restarted
    And the probes go on for 500 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate

  @contract-5.7.2
  Scenario Outline: what is half written keeps what is in force
    Given a changed Secret reaches mounted volumes after 100 ms
    And replicas read changed files while they run
    And probes call the Kingdom as edp1
    When the probes go on for 200 ms
    And the Kingdom gets a new certificate
    And the probes go on for 1500 ms
    And the Kingdom's <file> file is half written
    And the probes go on for 1500 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate
    And replica 0 does not reload
    And replica 0 does not start

    Examples:
      | file        |
      | certificate |
      | key         |

  @contract-5.3.1
  Scenario: two roots without a newline between them keep what is in force
    Given a changed Secret reaches mounted volumes after 100 ms
    And replicas read changed files while they run
    And edp1 gets a new root
    And probes call the Kingdom as edp1 and mc1
    When the probes go on for 200 ms
    And the Kingdom gets a new certificate
    And the probes go on for 1500 ms
    And the trust bundle gets edp1's new root without a newline between the two
    And the probes go on for 1500 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate
    And replica 0 does not reload
    And replica 0 does not start

  # Two files of one Secret that do not belong together: the certificate arrived, the key is the old one.
  @contract-5.7.3
  Scenario: a new certificate with the old key keeps what is in force
    Given a changed Secret reaches mounted volumes after 100 ms
    And replicas read changed files while they run
    And probes call the Kingdom 100 times a second as edp1
    When the probes go on for 300 ms
    And the Kingdom gets a new certificate
    And the probes go on for 1500 ms
    And the Kingdom's key file is the first one again
    And the probes go on for 1500 ms
    And the probes stop
    Then nobody noticed
    And every replica answers with the Kingdom's new certificate
    And replica 0 does not reload
    And replica 0 does not start

  # What `kubectl kustomize` makes of the folder is what replicas mount (in simulation, and without
  # kubectl, our own rendering of the same); `the Kustomization folder "PATH"` takes one of yours.
  @contract-5.1.2 @contract-5.4.2
  Scenario: a Kustomization folder makes the Secret, and replicas mount the new one as they restart
    Given the Kingdom's Secret is made by the kustomization
      """
      apiVersion: kustomize.config.k8s.io/v1beta1
      kind: Kustomization
      secretGenerator:
      - name: certs-and-configs
        type: Opaque
        files:
        - all_root_certs.pem
        - kingdom_root.pem
        - kingdom_tls.pem
        - kingdom_tls.key
        - authority_key_identifier_to_principal_map.textproto
        - duchy_cert_config.textproto
        - duchy_id_config.textproto
      """
    And a stopping replica waits 300 ms
    And probes call the Kingdom 100 times a second as edp1
    When the probes go on for 300 ms
    And the Kingdom gets a new certificate
    And all 2 replicas are restarted
    And the probes go on for 500 ms
    And the probes stop
    Then nobody noticed
    And the replicas mount a Secret of another name
    And every replica answers with the Kingdom's new certificate
