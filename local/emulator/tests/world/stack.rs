//! The stack that the emulator reads from a template.

use std::time::Duration;

use largesse_emulator::{
    Permission, Redrive, Stack, StackError, World, queue_arn, queue_url, table_arn,
};

/// The deployed template.
const TEMPLATE: &str = include_str!("../../../../template.yaml");

#[test]
fn the_template_gives_tables_queues_and_functions() {
    let stack = Stack::parse(TEMPLATE).unwrap();
    let pools = stack.table("largesse-pools").unwrap();
    assert_eq!(pools.stream_view.as_deref(), Some("NEW_AND_OLD_IMAGES"));
    assert_eq!(pools.keys[0], ("pk".to_owned(), "HASH".to_owned()));
    let queue = stack.queue("largesse-grants.fifo").unwrap();
    assert!(queue.fifo);
    let Some(Redrive { queue: dead, receives_max }) = &queue.redrive else {
        panic!("the grants queue has a redrive policy");
    };
    assert_eq!(dead, "largesse-grants-dlq.fifo");
    assert!(*receives_max > 1);
    assert!(stack.buses.contains(&"largesse-events".to_owned()));
}

#[test]
fn the_template_gives_the_triggers_of_each_function() {
    let stack = Stack::parse(TEMPLATE).unwrap();
    let claim = stack.function("spray-claim").unwrap();
    assert!(
        claim.routes.contains(&("POST".to_owned(), "/api/v2/sprays/{token}/claims".to_owned()))
    );
    assert_eq!(claim.environment["TABLE_POOLS"], "largesse-pools");
    let query = stack.function("query").unwrap();
    assert!(query.routes.contains(&("ANY".to_owned(), "$default".to_owned())));
    let outbox = stack.function("outbox").unwrap();
    assert_eq!(outbox.streams[0].table, "largesse-pools");
    assert_eq!(outbox.streams[0].filters.len(), 1);
    assert_eq!(outbox.environment["QUEUE_GRANTS_URL"], queue_url("largesse-grants.fifo"));
    assert_eq!(outbox.streams[0].retries_max, None);
    assert_eq!(outbox.streams[0].record_age_max, Some(Duration::from_secs(23 * 3_600)));
    let pay = stack.function("grant-pay").unwrap();
    assert_eq!(pay.queues[0].queue, "largesse-grants.fifo");
    assert_eq!(pay.timeout, Duration::from_secs(30));
}

#[test]
fn the_template_gives_the_permissions_of_each_function() {
    let stack = Stack::parse(TEMPLATE).unwrap();
    let may = |binary: &str, action: &str, resource: String| {
        let action = action.to_owned();
        let permission = Permission { action, resource, keys: None, attribute: None };
        stack.function(binary).unwrap().permissions.contains(&permission)
    };
    // The first is from the function's own policy, the others are from its role.
    let by_sender = format!("{}/index/by-sender", table_arn("largesse-sprays"));
    assert!(may("query", "dynamodb:Query", by_sender));
    assert!(may("outbox", "sqs:SendMessage", queue_arn("largesse-grants.fifo")));
    assert!(may("grant-pay", "logs:PutLogEvents", "FunctionLogs.Arn".to_owned()));
    assert!(!may("query", "dynamodb:PutItem", table_arn("largesse-ledger")));
}

/// The permissions of a function whose one statement has this condition.
fn permitted(condition: &str) -> Result<Vec<Permission>, StackError> {
    let stack = Stack::parse(&format!(
        r#"
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/notify/
      Policies:
        - Statement:
            - Effect: Allow
              Action: [dynamodb:UpdateItem]
              Resource: table
              Condition: {condition}
"#
    ))?;
    Ok(stack.function("notify").unwrap().permissions.clone())
}

#[test]
fn a_condition_limits_a_permission_to_items_and_attributes() {
    let limited = permitted(
        r##"
                ForAllValues:StringLike: { dynamodb:LeadingKeys: ["A#*", "B#*"] }
                ForAllValues:StringEquals: { dynamodb:Attributes: [pk, used] }
                StringEqualsIfExists: { dynamodb:ReturnValues: [NONE] }
"##,
    );
    let found: Vec<_> = limited.unwrap().into_iter().map(|one| (one.keys, one.attribute)).collect();
    let pair = |keys: &str, attribute: &str| (Some(keys.to_owned()), Some(attribute.to_owned()));
    let expected = [("A#*", "pk"), ("A#*", "used"), ("B#*", "pk"), ("B#*", "used")];
    assert_eq!(found, expected.map(|(keys, attribute)| pair(keys, attribute)));
    let free = permitted("{}").unwrap();
    assert_eq!((free.len(), &free[0].keys, &free[0].attribute), (1, &None, &None));
}

#[test]
fn a_condition_that_is_not_known_is_refused() {
    for condition in [
        r#"{ StringLike: { dynamodb:LeadingKeys: ["A"] } }"#,
        r#"{ ForAllValues:StringLike: { dynamodb:Attributes: ["A"] } }"#,
        "{ ForAllValues:StringLike: { dynamodb:LeadingKeys: [] } }",
        "{ Bool: { aws:SecureTransport: true } }",
    ] {
        assert!(matches!(permitted(condition), Err(StackError::Property { .. })), "{condition}");
    }
}

#[tokio::test]
async fn a_world_is_created_from_the_template() {
    let stack = Stack::parse(TEMPLATE).unwrap();
    let world = World::memory(&stack).unwrap();
    assert!(world.database().scan("largesse-pools").unwrap().is_empty());
    assert!(world.queue("largesse-grants.fifo").unwrap().is_empty());
}

#[test]
fn schedules_and_rules_are_read() {
    let template = r#"
Resources:
  Bus: { Type: AWS::Events::EventBus, Properties: { Name: !Sub "${AWS::StackName}-x" } }
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/notify/
      Events:
        Every: { Type: ScheduleV2, Properties: { ScheduleExpression: rate(5 minutes) } }
        Done:
          Type: EventBridgeRule
          Properties: { EventBusName: !Ref Bus, Pattern: { source: [largesse] } }
"#;
    let stack = Stack::parse(template).unwrap();
    let function = stack.function("notify").unwrap();
    assert_eq!(function.schedules, [("Every".to_owned(), Duration::from_secs(300))]);
    assert_eq!(function.rules[0].bus, "largesse-x");
}

/// A rule that sends to a queue, with `target` as the members of its target.
fn with_rule(target: &str) -> Result<Stack, StackError> {
    Stack::parse(&format!(
        r#"
Resources:
  Bus: {{ Type: AWS::Events::EventBus, Properties: {{ Name: !Sub "${{AWS::StackName}}-x" }} }}
  Told: {{ Type: AWS::SQS::Queue, Properties: {{ QueueName: told }} }}
  Ended:
    Type: AWS::Events::Rule
    Properties:
      EventBusName: !Ref Bus
      EventPattern: {{ source: [largesse], detail-type: [Done] }}
      Targets: [{{ Id: told, {target} }}]
  MaySend:
    Type: AWS::SQS::QueuePolicy
    Properties: {{ Queues: [!Ref Told], PolicyDocument: {{ Statement: [!GetAtt Ended.Arn] }} }}
"#
    ))
}

#[test]
fn a_rule_with_a_queue_as_its_target_is_read_and_any_other_target_is_refused() {
    let stack = with_rule("Arn: !GetAtt Told.Arn").unwrap();
    let [rule] = &stack.rules[..] else { panic!("one rule: {:?}", stack.rules) };
    assert_eq!((rule.bus.as_str(), &rule.queues[..]), ("largesse-x", &["told".to_owned()][..]));
    assert!(rule.pattern.is_some());
    for target in ["Arn: !Sub arn:aws:lambda:x:y:function:z", "Arn: !GetAtt Told.Arn, Input: '{}'"]
    {
        assert!(matches!(with_rule(target), Err(StackError::Property { .. })), "{target}");
    }
}

#[test]
fn an_unknown_reference_is_refused_with_its_place() {
    let template = r#"
Resources:
  Q: { Type: AWS::SQS::Queue, Properties: { QueueName: !Sub "${Nothing}-x" } }
"#;
    let error = Stack::parse(template).unwrap_err();
    assert!(matches!(error, StackError::Unresolved { .. }));
    assert!(error.to_string().starts_with("Q: "), "{error}");
    assert!(matches!(Stack::parse("a: 1").unwrap_err(), StackError::NoResources));
}
