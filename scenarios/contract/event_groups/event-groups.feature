Feature: Event groups

  @contract-1.4.1
  Scenario: encrypted metadata is shown as it was sent, beside the consumer's key without a signature
    Given edp1 has an event group called g for mc1, where
      | event_group.measurement_consumer_public_key | [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { format: TINK_KEYSET data: "{mc1.keyset}" } |
      | event_group.encrypted_metadata              | ciphertext: "secret" type_url: "type.googleapis.com/wfa.measurement.api.v2alpha.EventGroup.Metadata" |
    When mc1 calls EventGroups.GetEventGroup with
      """
      name: "{edp1.g}"
      """
    Then the response has
      | encrypted_metadata.ciphertext                        | 736563726574                                                       |
      | encrypted_metadata.type_url                          | type.googleapis.com/wfa.measurement.api.v2alpha.EventGroup.Metadata |
      | measurement_consumer_public_key.data                 | {mc1.keyset}                                                       |
      | signed_measurement_consumer_public_key.signature     | ""                                                                 |

  @contract-1.4.2
  Scenario Outline: field checks of create and update
    Given edp1 has an event group called g for mc1
    When edp1 calls EventGroups.<method> with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case                              | method           | request                                                                                                       | code             |
      | metadata-without-key              | CreateEventGroup | parent: "{edp1}" event_group { measurement_consumer: "{mc1}" encrypted_metadata { ciphertext: "c" } }         | INVALID_ARGUMENT |
      | key-that-does-not-unpack          | CreateEventGroup | parent: "{edp1}" event_group { measurement_consumer: "{mc1}" measurement_consumer_public_key { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionKey] { } } } | INVALID_ARGUMENT |
      | start-at-the-epoch                | CreateEventGroup | parent: "{edp1}" event_group { measurement_consumer: "{mc1}" data_availability_interval { start_time { } } }  | INVALID_ARGUMENT |
      | start-not-before-end              | CreateEventGroup | parent: "{edp1}" event_group { measurement_consumer: "{mc1}" data_availability_interval { start_time { seconds: 9 } end_time { seconds: 9 } } } | INVALID_ARGUMENT |
      | consumer-shape                    | CreateEventGroup | parent: "{edp1}" event_group { measurement_consumer: "nonsense" }                                             | INVALID_ARGUMENT |
      | consumer-id                       | CreateEventGroup | parent: "{edp1}" event_group { measurement_consumer: "measurementConsumers/nonsense" }                        | UNKNOWN          |
      | metadata-before-the-consumer      | CreateEventGroup | parent: "{edp1}" event_group { measurement_consumer: "measurementConsumers/nonsense" encrypted_metadata { ciphertext: "c" } } | INVALID_ARGUMENT |
      | update-metadata-without-key       | UpdateEventGroup | event_group { name: "{edp1.g}" measurement_consumer: "{mc1}" encrypted_metadata { ciphertext: "c" } }         | INVALID_ARGUMENT |
      | update-start-not-before-end       | UpdateEventGroup | event_group { name: "{edp1.g}" measurement_consumer: "{mc1}" data_availability_interval { start_time { seconds: 9 } end_time { seconds: 8 } } } | INVALID_ARGUMENT |
      | update-consumer-shape             | UpdateEventGroup | event_group { name: "{edp1.g}" measurement_consumer: "nonsense" }                                             | INVALID_ARGUMENT |

  @contract-1.4.2
  Scenario Outline: what is accepted
    When edp1 calls EventGroups.CreateEventGroup with
      """
      parent: "{edp1}" event_group { measurement_consumer: "{mc1}" <fields> }
      """
    Then the call succeeds

    Examples:
      | case                          | fields                                                                        |
      | key-without-metadata          | measurement_consumer_public_key { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "k" } } |
      | deprecated-signed-key         | signed_measurement_consumer_public_key { data: "not unpacked" } encrypted_metadata { ciphertext: "c" } |
      | deprecated-metadata-without-key | serialized_encrypted_metadata: "c"                                          |
      | open-interval                 | data_availability_interval { start_time { seconds: 9 } }                      |

    @contract-1.4.3
    Examples:
      | case                          | fields                                                                        |
      | a-key-that-is-not-current     | measurement_consumer_public_key { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "old" } } encrypted_metadata { ciphertext: "c" } |

  @contract-1.4.3
  Scenario: metadata under an old key stays until the provider updates the group
    Given edp1 has an event group called g for mc1, where
      | event_group.measurement_consumer_public_key | [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "{mc1.keyset}" } |
      | event_group.encrypted_metadata              | ciphertext: "secret" |
    And mc1 has a new encryption key called fresh
    And mc1 has published its encryption key fresh with its certificate certificate
    When mc1 calls EventGroups.GetEventGroup with
      """
      name: "{edp1.g}"
      """
    Then the response has measurement_consumer_public_key.data: {mc1.keyset}
    When edp1 calls EventGroups.UpdateEventGroup with
      """
      event_group {
        name: "{edp1.g}" measurement_consumer: "{mc1}" encrypted_metadata { ciphertext: "secret" }
        measurement_consumer_public_key { [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "{mc1.fresh_keyset}" } }
      }
      """
    Then the response has measurement_consumer_public_key.data: {mc1.fresh_keyset}

  @contract-1.4.4
  Scenario Outline: only the owning provider writes
    Given edp1 has an event group called g for mc1
    When <actor> calls EventGroups.<method> with
      """
      <request>
      """
    Then the call fails with PERMISSION_DENIED

    Examples:
      | case         | actor | method                 | request                                                            |
      | create       | edp2  | CreateEventGroup       | parent: "{edp1}" event_group { measurement_consumer: "{mc1}" }     |
      | create-mc    | mc1   | CreateEventGroup       | parent: "{edp1}" event_group { measurement_consumer: "{mc1}" }     |
      | update       | edp2  | UpdateEventGroup       | event_group { name: "{edp1.g}" measurement_consumer: "{mc1}" }     |
      | delete       | mc1   | DeleteEventGroup       | name: "{edp1.g}"                                                   |
      | batch-create | edp2  | BatchCreateEventGroups | parent: "{edp1}" requests { event_group { measurement_consumer: "{mc1}" } } |
      | batch-update | edp2  | BatchUpdateEventGroups | parent: "{edp1}" requests { event_group { name: "{edp1.g}" measurement_consumer: "{mc1}" } } |

  @contract-1.4.5 @contract-1.0.11/MEASUREMENT_CONSUMER_NOT_FOUND @contract-1.0.12/CreateEventGroup
  Scenario: the consumer exists
    When edp1 calls EventGroups.CreateEventGroup with
      """
      parent: "{edp1}" event_group { measurement_consumer: "measurementConsumers/AAAAAAAAAZQ" }
      """
    Then the call fails with FAILED_PRECONDITION and reason MEASUREMENT_CONSUMER_NOT_FOUND
    And the error metadata is
      | measurementConsumer | measurementConsumers/AAAAAAAAAZQ |

  @contract-1.4.5
  Scenario Outline: the consumer comes before the provider
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp2.root_skid}" principal_resource_name: "dataProviders/AAAAAAAAAZQ" }
      """
    And all 2 replicas are restarted
    When edp2 calls EventGroups.CreateEventGroup with
      """
      parent: "dataProviders/AAAAAAAAAZQ" event_group { measurement_consumer: "<consumer>" }
      """
    Then the call fails with <code> and reason <reason>
    And the error metadata is
      | <key> | <value> |

    @contract-1.0.11/DATA_PROVIDER_NOT_FOUND
    Examples:
      | case             | consumer                         | code                | reason                         | key                 | value                            |
      | provider-missing | {mc1}                            | NOT_FOUND           | DATA_PROVIDER_NOT_FOUND        | dataProvider        | dataProviders/AAAAAAAAAZQ        |

    @contract-1.0.11/MEASUREMENT_CONSUMER_NOT_FOUND
    Examples:
      | case             | consumer                         | code                | reason                         | key                 | value                            |
      | both-missing     | measurementConsumers/AAAAAAAAAZQ | FAILED_PRECONDITION | MEASUREMENT_CONSUMER_NOT_FOUND | measurementConsumer | measurementConsumers/AAAAAAAAAZQ |

  @contract-1.4.5 @contract-1.0.7
  Scenario: a replay answers the stored group, even if deleted or different
    Given edp1 has an event group called g for mc1, where
      | request_id | "again" |
    And edp1 has deleted its event group g
    When edp1 calls EventGroups.CreateEventGroup with
      """
      parent: "{edp1}" request_id: "again" event_group { measurement_consumer: "{mc1}" event_group_reference_id: "other" }
      """
    Then the call succeeds
    And the response has
      | name  | {edp1.g} |
      | state | DELETED  |

  @contract-1.4.5
  Scenario: a request_id is scoped to its provider
    Given edp1 has an event group called g for mc1, where
      | request_id | "again" |
    When edp2 calls EventGroups.CreateEventGroup with
      """
      parent: "{edp2}" request_id: "again" event_group { measurement_consumer: "{mc1}" event_group_reference_id: "mine" }
      """
    Then the call succeeds
    And the response has event_group_reference_id: mine

  @contract-1.4.5
  Scenario Outline: violations without an answer of their own
    Given the quirk constraint-violation-is-unknown is <setting>
    And edp1 has an event group called taken for mc1, where
      | event_group.entity_key | entity_type: "campaign" entity_id: "one" |
    When edp1 calls EventGroups.CreateEventGroup with
      """
      parent: "{edp1}" event_group { measurement_consumer: "{mc1}" <fields> }
      """
    Then the call fails with <code>
    And the error has no ErrorInfo

    @contract-1.0.17/CreateEventGroup
    Examples:
      | case                       | setting       | fields                                               | code             |
      | media-type-twice           | faithful      | media_types: [VIDEO, VIDEO]                          | UNKNOWN          |
      | entity-key-taken           | faithful      | entity_key { entity_type: "campaign" entity_id: "one" } | UNKNOWN       |
      | documented-media-type      | as-documented | media_types: [VIDEO, VIDEO]                          | INVALID_ARGUMENT |
      | documented-entity-key      | as-documented | entity_key { entity_type: "campaign" entity_id: "one" } | ALREADY_EXISTS |

    @contract-1.0.17/EventGroup
    Examples:
      | case                       | setting       | fields                                               | code             |
      | metadata-without-selector  | faithful      | event_group_metadata { }                             | UNKNOWN          |
      | documented-metadata        | as-documented | event_group_metadata { }                             | INVALID_ARGUMENT |

  @contract-1.4.6
  Scenario: a batch is answered in request order, and mixes an empty and an equal parent
    When edp1 calls EventGroups.BatchCreateEventGroups with
      """
      parent: "{edp1}"
      requests { event_group { measurement_consumer: "{mc1}" event_group_reference_id: "a" } }
      requests { parent: "{edp1}" event_group { measurement_consumer: "{mc1}" event_group_reference_id: "b" } }
      """
    Then the response lists event_groups[*].event_group_reference_id in this order
      | a |
      | b |

  @contract-1.4.6
  Scenario Outline: all or nothing
    When edp1 calls EventGroups.BatchCreateEventGroups with
      """
      parent: "{edp1}"
      requests { request_id: "one" event_group { measurement_consumer: "{mc1}" } }
      requests { <second> }
      """
    Then the call fails with <code>
    When edp1 calls EventGroups.ListEventGroups with
      """
      parent: "{edp1}"
      """
    Then the response is empty

    Examples:
      | case                 | second                                                                            | code                |
      | another-parent       | parent: "{edp2}" event_group { measurement_consumer: "{mc1}" }                    | INVALID_ARGUMENT    |
      | repeated-request-id  | request_id: "one" event_group { measurement_consumer: "{mc1}" }                   | INVALID_ARGUMENT    |
      | no-event-group       |                                                                                   | INVALID_ARGUMENT    |

    @contract-1.0.12/CreateEventGroup
    Examples:
      | case                 | second                                                                            | code                |
      | consumer-missing     | event_group { measurement_consumer: "measurementConsumers/AAAAAAAAAZQ" }          | FAILED_PRECONDITION |

  @contract-1.4.6
  Scenario Outline: an empty BatchUpdate
    Given the quirk empty-batch-update-needs-no-principal is <setting>
    And <given>
    When <actor> calls EventGroups.BatchUpdateEventGroups with
      """
      parent: "{edp1}"
      """
    Then the call <outcome>

    Examples:
      | case                   | setting       | given                                     | actor | outcome                      |
      | faithful-nobody        | faithful      | edp1 presents a "akid-absent" certificate | edp1  | succeeds                     |
      | faithful-another       | faithful      | a running Kingdom                         | edp2  | succeeds                     |
      | documented-nobody      | as-documented | edp1 presents a "akid-absent" certificate | edp1  | fails with UNAUTHENTICATED   |
      | documented-another     | as-documented | a running Kingdom                         | edp2  | fails with PERMISSION_DENIED |
      | documented-owner       | as-documented | a running Kingdom                         | edp1  | fails with INVALID_ARGUMENT  |

  @contract-1.4.6
  Scenario Outline: the size of a batch
    Given the quirk event-group-batch-size-unchecked is <setting>
    When edp1 creates <number> event groups for mc1 in one batch
    Then the call <outcome>

    Examples:
      | case            | setting       | number | outcome                     |
      | faithful-51     | faithful      | 51     | succeeds                    |
      | documented-51   | as-documented | 51     | fails with INVALID_ARGUMENT |
      | documented-50   | as-documented | 50     | succeeds                    |

  @contract-1.4.6 @contract-1.0.6
  Scenario Outline: BatchUpdate checks child by child
    Given edp1 has an event group called g for mc1
    And <given>
    When <actor> calls EventGroups.BatchUpdateEventGroups with
      """
      parent: "{edp1}" requests { event_group { <group> } }
      """
    Then the call fails with <code>

    Examples:
      | case                       | given                                     | actor | group                                                              | code              |
      | name-before-principal      | edp1 presents a "akid-absent" certificate | edp1  | name: "nonsense"                                                   | INVALID_ARGUMENT  |
      | provider-before-principal  | edp1 presents a "akid-absent" certificate | edp1  | name: "{edp2}/eventGroups/AAAAAAAAAZQ"                             | INVALID_ARGUMENT  |
      | principal-before-ownership | edp1 presents a "akid-absent" certificate | edp1  | name: "{edp1.g}"                                                   | UNAUTHENTICATED   |
      | ownership-before-fields    | a running Kingdom                         | edp2  | name: "{edp1.g}" measurement_consumer: "nonsense"                  | PERMISSION_DENIED |
      | fields                     | a running Kingdom                         | edp1  | name: "{edp1.g}" measurement_consumer: "nonsense"                  | INVALID_ARGUMENT  |

  @contract-1.4.7
  Scenario Outline: an update replaces the whole object, and its response has no state
    Given the quirk update-event-group-response-without-state is <setting>
    And edp1 has an event group called g for mc1, where
      | event_group.media_types | [VIDEO] |
    When edp1 calls EventGroups.UpdateEventGroup with
      """
      event_group { name: "{edp1.g}" measurement_consumer: "{mc1}" event_group_reference_id: "new" }
      """
    Then the response has
      | event_group_reference_id | new     |
      | state                    | <state> |
    And the response has 0 media_types
    And edp1 sees its event group g in state ACTIVE

    Examples:
      | setting       | state             |
      | faithful      | STATE_UNSPECIFIED |
      | as-documented | ACTIVE            |

  @contract-1.4.7 @contract-1.0.11/EVENT_GROUP_NOT_FOUND @contract-1.0.12/UpdateEventGroup
  Scenario: a group that does not exist cannot be updated
    When edp1 calls EventGroups.UpdateEventGroup with
      """
      event_group { name: "{edp1}/eventGroups/AAAAAAAAAZQ" measurement_consumer: "{mc1}" }
      """
    Then the call fails with NOT_FOUND and reason EVENT_GROUP_NOT_FOUND
    And the error metadata is
      | eventGroup | {edp1}/eventGroups/AAAAAAAAAZQ |

  @contract-1.4.7 @contract-1.0.11/EVENT_GROUP_STATE_ILLEGAL
  Scenario Outline: a deleted group cannot be updated, and the error names it
    Given the quirk deleted-event-group-error-name is <setting>
    And edp1 has an event group called g for mc1
    And edp1 has deleted its event group g
    When edp1 calls EventGroups.<method> with
      """
      <request>
      """
    Then the call fails with NOT_FOUND and reason EVENT_GROUP_STATE_ILLEGAL
    And the error metadata is
      | eventGroup | <name> |

    Examples:
      | case             | setting       | method                 | request                                                         | name                                             |
      | faithful         | faithful      | UpdateEventGroup       | event_group { name: "{edp1.g}" measurement_consumer: "{mc1}" }  | dataProviders/{edp1.g_id}/eventGroups/{edp1.g_id} |
      | faithful-batch   | faithful      | BatchUpdateEventGroups | parent: "{edp1}" requests { event_group { name: "{edp1.g}" measurement_consumer: "{mc1}" } } | dataProviders/{edp1.g_id}/eventGroups/{edp1.g_id} |
      | documented       | as-documented | UpdateEventGroup       | event_group { name: "{edp1.g}" measurement_consumer: "{mc1}" }  | {edp1.g}                                         |
      | documented-batch | as-documented | BatchUpdateEventGroups | parent: "{edp1}" requests { event_group { name: "{edp1.g}" measurement_consumer: "{mc1}" } } | {edp1.g}            |
      | faithful-delete  | faithful      | DeleteEventGroup       | name: "{edp1.g}"                                                | {edp1.g}                                         |

  @contract-1.4.7 @contract-1.0.11/EVENT_GROUP_INVALID_ARGS
  Scenario: a group keeps its consumer
    Given edp1 has an event group called g for mc1
    When edp1 calls EventGroups.UpdateEventGroup with
      """
      event_group { name: "{edp1.g}" measurement_consumer: "measurementConsumers/AAAAAAAAAZQ" }
      """
    Then the call fails with INVALID_ARGUMENT and reason EVENT_GROUP_INVALID_ARGS
    And the error metadata is
      | originalMeasurementConsumer | {mc1}                            |
      | providedMeasurementConsumer | measurementConsumers/AAAAAAAAAZQ |

  @contract-1.4.8
  Scenario Outline: who reads by which name
    Given edp1 has an event group called g for mc1
    When <actor> calls EventGroups.GetEventGroup with
      """
      name: "<name>"
      """
    Then the call succeeds
    And the response has name: {edp1.g}

    Examples:
      | case             | actor | name                          |
      | provider         | edp1  | {edp1.g}                      |
      | consumer         | mc1   | {edp1.g}                      |
      | by-consumer-name | mc1   | {mc1}/eventGroups/{edp1.g_id} |

  @contract-1.4.8
  Scenario Outline: other principals do not read
    Given edp1 has an event group called g for mc1
    When <actor> calls EventGroups.GetEventGroup with
      """
      name: "<name>"
      """
    Then the call fails with PERMISSION_DENIED

    Examples:
      | case                       | actor          | name                          |
      | another-provider           | edp2           | {edp1.g}                      |
      | duchy                      | worker1        | {edp1.g}                      |
      | model-provider             | modelprovider1 | {edp1.g}                      |
      | provider-by-consumer-name  | edp1           | {mc1}/eventGroups/{edp1.g_id} |

  @contract-1.4.8 @contract-1.0.12/GetEventGroup
  Scenario Outline: what does not exist
    When <actor> calls EventGroups.GetEventGroup with
      """
      name: "<name>"
      """
    Then the call fails with NOT_FOUND and reason EVENT_GROUP_NOT_FOUND
    And the error metadata is
      | eventGroup | <name> |

    Examples:
      | case                  | actor | name                           |
      | to-its-provider       | edp1  | {edp1}/eventGroups/AAAAAAAAAZQ |
      | by-the-consumer-name  | mc1   | {mc1}/eventGroups/AAAAAAAAAZQ  |

  @contract-1.4.8
  Scenario: faithfully, a consumer can tell a missing group from a foreign one
    Given the principal map gains
      """
      entries { authority_key_identifier: "{edp2.root_skid}" principal_resource_name: "measurementConsumers/AAAAAAAAAZQ" }
      """
    And all 2 replicas are restarted
    And edp1 has an event group called g for mc1
    When edp2 calls EventGroups.GetEventGroup with
      """
      name: "{edp1.g}"
      """
    Then the call fails with PERMISSION_DENIED
    And the error has no ErrorInfo
    When edp2 calls EventGroups.GetEventGroup with
      """
      name: "{edp1}/eventGroups/AAAAAAAAAZQ"
      """
    Then the call fails with PERMISSION_DENIED and reason EVENT_GROUP_NOT_FOUND
    And the error metadata is
      | eventGroup | {edp1}/eventGroups/AAAAAAAAAZQ |

  @contract-1.4.8
  Scenario: as documented, it cannot
    Given the quirk foreign-event-group-distinguishable is as-documented
    When mc1 calls EventGroups.GetEventGroup with
      """
      name: "{edp1}/eventGroups/AAAAAAAAAZQ"
      """
    Then the call fails with PERMISSION_DENIED
    And the error has no ErrorInfo

  @contract-1.4.9
  Scenario: what reads fill
    Given edp1 has an event group called g for mc1, where
      | event_group.media_types                     | [VIDEO, DISPLAY] |
      | event_group.data_availability_interval      | start_time { seconds: 9 } end_time { seconds: 10 } |
      | event_group.event_templates[0]              | type: "template" |
      | event_group.vid_model_lines                 | ["line"] |
      | event_group.measurement_consumer_public_key | [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "k" } |
      | event_group.encrypted_metadata              | ciphertext: "c" type_url: "anything" |
    When edp1 calls EventGroups.GetEventGroup with
      """
      name: "{edp1.g}"
      """
    Then the response has
      | measurement_consumer                          | {mc1}                                                              |
      | event_group_reference_id                      | g                                                                  |
      | data_availability_interval.end_time.seconds   | 10                                                                 |
      | event_templates[0].type                       | template                                                           |
      | vid_model_lines[0]                            | line                                                               |
      | encrypted_metadata.type_url                   | type.googleapis.com/wfa.measurement.api.v2alpha.EventGroup.Metadata |
      | serialized_encrypted_metadata                 | 63                                                                 |
      | entity_key.entity_type                        | campaign                                                           |
      | entity_key.entity_id                          | ""                                                                 |
      | state                                         | ACTIVE                                                             |
    And the response lists media_types in any order
      | VIDEO   |
      | DISPLAY |
    And the response has 0 aggregated_activities

  @contract-1.4.9
  Scenario Outline: views
    Given edp1 has an event group called g for mc1
    When edp1 calls EventGroups.GetEventGroup with
      """
      name: "{edp1.g}" view: <view>
      """
    Then the call <outcome>

    Examples:
      | view                  | outcome            |
      | VIEW_UNSPECIFIED      | succeeds           |
      | BASIC                 | succeeds           |
      | WITH_ACTIVITY_SUMMARY | succeeds           |
      | 77                    | fails with UNKNOWN |

  @contract-1.4.10
  Scenario Outline: listing: size, parent, principal, ownership, token
    Given <given>
    When <actor> calls EventGroups.ListEventGroups with
      """
      <request>
      """
    Then the call fails with <code>

    Examples:
      | case                     | given                                     | actor | request                                          | code              |
      | size-before-parent       | edp1 presents a "akid-absent" certificate | edp1  | parent: "nonsense" page_size: -1                 | INVALID_ARGUMENT  |
      | parent-before-principal  | edp1 presents a "akid-absent" certificate | edp1  | parent: "nonsense"                               | INVALID_ARGUMENT  |
      | principal                | edp1 presents a "akid-absent" certificate | edp1  | parent: "{edp2}"                                 | UNAUTHENTICATED   |
      | ownership-before-token   | a running Kingdom                         | edp1  | parent: "{edp2}" page_token: "not base64!"       | PERMISSION_DENIED |
      | token                    | a running Kingdom                         | edp1  | parent: "{edp1}" page_token: "not base64!"       | UNKNOWN           |
      | consumer-of-provider     | a running Kingdom                         | mc1   | parent: "{edp1}"                                 | PERMISSION_DENIED |

  @contract-1.4.10
  Scenario: deleted groups and other entity types are hidden unless asked for
    Given edp1 has an event group called active for mc1
    And edp1 has an event group called gone for mc1
    And edp1 has deleted its event group gone
    And edp1 has an event group called creative for mc1, where
      | event_group.entity_key | entity_type: "creative" entity_id: "1" |
    When edp1 calls EventGroups.ListEventGroups with
      """
      parent: "{edp1}"
      """
    Then the response lists event_groups[*].name in this order
      | {edp1.active} |
    When edp1 calls EventGroups.ListEventGroups with
      """
      parent: "{edp1}" show_deleted: true
      """
    Then the response lists event_groups[*].name in any order
      | {edp1.active} |
      | {edp1.gone}   |
    When mc1 calls EventGroups.ListEventGroups with
      """
      parent: "{mc1}" filter { entity_type_in: "creative" }
      """
    Then the response lists event_groups[*].name in this order
      | {edp1.creative} |

  @contract-1.4.10
  Scenario: 10 a page unless it is asked otherwise, at most 500
    Given edp1 creates 12 event groups for mc1 in one batch
    When edp1 calls EventGroups.ListEventGroups with
      """
      parent: "{edp1}"
      """
    Then the response has 10 event_groups
    And the response field next_page_token is saved as token
    When edp1 calls EventGroups.ListEventGroups with
      """
      parent: "{edp1}" page_token: "{token}" page_size: 100000
      """
    Then the response has 2 event_groups
    And the response field next_page_token is ""

  @contract-1.4.10
  Scenario: ordered by the start of availability
    Given edp1 has an event group called late for mc1, where
      | event_group.data_availability_interval | start_time { seconds: 20 } |
    And edp1 has an event group called early for mc1, where
      | event_group.data_availability_interval | start_time { seconds: 10 } |
    When edp1 calls EventGroups.ListEventGroups with
      """
      parent: "{edp1}" order_by { field: DATA_AVAILABILITY_START_TIME }
      """
    Then the response lists event_groups[*].name in this order
      | {edp1.early} |
      | {edp1.late}  |

  @contract-1.4.10 @contract-1.0.13/ListEventGroups
  Scenario Outline: page 2 with show_deleted
    Given the quirk list-event-groups-token-drops-show-deleted is <setting>
    And edp1 creates 2 event groups for mc1 in one batch
    When edp1 calls EventGroups.ListEventGroups with
      """
      parent: "{edp1}" page_size: 1 show_deleted: true
      """
    Then the response field next_page_token is saved as token
    When edp1 calls EventGroups.ListEventGroups with
      """
      parent: "{edp1}" page_size: 1 show_deleted: true page_token: "{token}"
      """
    Then the call <outcome>

    Examples:
      | setting       | outcome                     |
      | faithful      | fails with INVALID_ARGUMENT |
      | as-documented | succeeds                    |

  @contract-1.0.13/ListEventGroups
  Scenario Outline: a token repeats parent and filter, not order and view
    Given edp1 creates 2 event groups for mc1 in one batch
    When edp1 calls EventGroups.ListEventGroups with
      """
      parent: "{edp1}" page_size: 1 filter { measurement_consumer_in: "{mc1}" }
      """
    Then the response field next_page_token is saved as token
    When <actor> calls EventGroups.ListEventGroups with
      """
      page_token: "{token}" <request>
      """
    Then the call <outcome>

    Examples:
      | case        | actor | request                                                                    | outcome                     |
      | same        | edp1  | parent: "{edp1}" filter { measurement_consumer_in: "{mc1}" }               | succeeds                    |
      | other-order | edp1  | parent: "{edp1}" filter { measurement_consumer_in: "{mc1}" } order_by { field: DATA_AVAILABILITY_START_TIME } view: BASIC | succeeds |
      | no-filter   | edp1  | parent: "{edp1}"                                                           | fails with INVALID_ARGUMENT |
      | other-parent | edp2 | parent: "{edp2}" filter { measurement_consumer_in: "{mc1}" }               | fails with INVALID_ARGUMENT |

  @contract-1.4.12
  Scenario Outline: deleting clears the details, and the response still shows the entity id
    Given the quirk delete-event-group-response-keeps-entity-id is <setting>
    And edp1 has an event group called g for mc1, where
      | event_group.entity_key                      | entity_type: "campaign" entity_id: "one" |
      | event_group.measurement_consumer_public_key | [type.googleapis.com/wfa.measurement.api.v2alpha.EncryptionPublicKey] { data: "k" } |
      | event_group.encrypted_metadata              | ciphertext: "c" |
    When edp1 calls EventGroups.DeleteEventGroup with
      """
      name: "{edp1.g}"
      """
    Then the response has
      | state                            | DELETED     |
      | entity_key.entity_id             | <entity id> |
      | encrypted_metadata               | unset       |
      | measurement_consumer_public_key  | unset       |
    When edp1 calls EventGroups.GetEventGroup with
      """
      name: "{edp1.g}"
      """
    Then the response has
      | state                | DELETED |
      | entity_key.entity_id | ""      |

    Examples:
      | setting       | entity id |
      | faithful      | one       |
      | as-documented | ""        |

  @contract-1.4.12
  Scenario: the slot of a deleted group is free again
    Given edp1 has an event group called g for mc1, where
      | event_group.entity_key | entity_type: "campaign" entity_id: "one" |
    And edp1 has deleted its event group g
    When edp1 calls EventGroups.CreateEventGroup with
      """
      parent: "{edp1}" event_group { measurement_consumer: "{mc1}" entity_key { entity_type: "campaign" entity_id: "one" } }
      """
    Then the call succeeds
    And the response field name is not "{edp1.g}"

  @contract-1.4.12 @contract-1.0.12/UpdateEventGroup
  Scenario: what does not exist cannot be deleted
    When edp1 calls EventGroups.DeleteEventGroup with
      """
      name: "{edp1}/eventGroups/AAAAAAAAAZQ"
      """
    Then the call fails with NOT_FOUND and reason EVENT_GROUP_NOT_FOUND
