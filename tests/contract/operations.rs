//! What template.yaml and infra/ promise to those who deploy and operate: a stack that can be
//! deployed again and beside another one, an alarm for each function, and a page for each alarm.

use serde_json::{Value, json};

use crate::template::{of_type, read, read_text};

/// What moves money without a caller who would notice: none of it waits for the crowd's functions.
const MOVES_MONEY: [&str; 5] = [
    "OutboxFunction",
    "GrantPayFunction",
    "RefundBatchFunction",
    "PoolSweepFunction",
    "CampaignStartFunction",
];
/// What the crowd calls: the claim and the entry, and the look at what came of it.
const CROWD: [&str; 3] = ["SprayClaimFunction", "DropEnterFunction", "QueryFunction"];

/// Lambda's default quota of an account and region, and what it keeps unreserved (AWS Lambda
/// Developer Guide, "Configuring reserved concurrency for a function").
const ACCOUNT_CONCURRENCY: u64 = 1_000;
const UNRESERVED_MIN: u64 = 100;

/// An alarm: its name without the stack's, its properties, and the logical id of the function that it
/// watches, if it watches one.
struct Alarm {
    name: String,
    properties: Value,
    function: Option<String>,
}

/// All alarms of all nested stacks.
fn alarms() -> Vec<Alarm> {
    let template = read("template.yaml");
    let mut found = Vec::new();
    for (id, stack) in of_type(&template, "AWS::CloudFormation::Stack") {
        let properties = &stack["Properties"];
        for (_, alarm) in of_type(&read(properties["TemplateURL"].as_str().unwrap()), ALARM) {
            let properties_of_alarm = &alarm["Properties"];
            let name = properties_of_alarm["AlarmName"]["Fn::Sub"].as_str().unwrap();
            let name = name.strip_prefix("${Name}-").unwrap_or_else(|| panic!("{id}: {name}"));
            let watched = &properties_of_alarm["Dimensions"][0];
            let function = (watched["Name"] == "FunctionName").then(|| {
                let parameter = watched["Value"]["Ref"].as_str().unwrap();
                properties["Parameters"][parameter]["Ref"].as_str().unwrap().to_owned()
            });
            let (name, properties) = (name.to_owned(), properties_of_alarm.clone());
            found.push(Alarm { name, properties, function });
        }
    }
    assert!(found.len() > 20, "{} alarms", found.len());
    found
}

const ALARM: &str = "AWS::CloudWatch::Alarm";

/// SAM names a schedule by its logical id unless it is told not to: in a second stack of the account
/// the name is taken, and deleting that stack takes the first one's schedules away.
#[test]
fn no_schedule_has_a_name_that_a_second_stack_would_take() {
    let template = read("template.yaml");
    let mut schedules = 0;
    for (id, function) in of_type(&template, "AWS::Serverless::Function") {
        for (event, found) in function["Properties"]["Events"].as_object().unwrap() {
            if found["Type"].as_str().unwrap().starts_with("Schedule") {
                assert_eq!(found["Properties"]["OmitName"], true, "{id}/{event}");
                assert_eq!(found["Properties"]["Name"], Value::Null, "{id}/{event}");
                schedules += 1;
            }
        }
    }
    assert_eq!(schedules, 5);
}

/// A second stack beside the first: every name that is chosen carries the stack's.
#[test]
fn every_name_that_the_template_chooses_carries_the_stacks() {
    let names = [
        "TableName",
        "QueueName",
        "Name",
        "LogGroupName",
        "AlarmName",
        "DashboardName",
        "RoleName",
    ];
    let carries = |name: &Value| {
        let is_stacks = |part: &str| ["AWS::StackName", "Name"].contains(&part);
        match (name["Ref"].as_str(), name["Fn::Sub"].as_str()) {
            (Some(reference), _) => is_stacks(reference),
            (_, Some(text)) => {
                text.split("${").filter_map(|part| part.split('}').next()).any(is_stacks)
            }
            _ => false,
        }
    };
    let infra = ["alarms", "dashboard", "features", "function-alarms"]
        .map(|name| format!("infra/{name}.yaml"));
    let mut named = 0;
    for file in infra.iter().map(String::as_str).chain(["template.yaml"]) {
        for (id, resource) in read(file)["Resources"].as_object().unwrap() {
            // It names the log that it reads, and has no name of its own.
            if resource["Type"] == "AWS::Logs::MetricFilter" {
                continue;
            }
            for name in names.iter().filter_map(|name| resource["Properties"].get(*name)) {
                assert!(carries(name), "{file}: {id} has the name {name}");
                named += 1;
            }
        }
    }
    assert!(named > 40, "{named} names");
}

/// `Retain` also keeps what a failed first deployment has made. The next attempt finds the name taken.
#[test]
fn a_first_deployment_that_failed_leaves_no_name_behind() {
    let template = read("template.yaml");
    for (id, resource) in template["Resources"].as_object().unwrap() {
        let policy = resource.get("DeletionPolicy");
        assert!(policy.is_none_or(|policy| policy == "RetainExceptOnCreate"), "{id}: {policy:?}");
    }
    for (id, table) in of_type(&template, "AWS::DynamoDB::Table") {
        assert_eq!(table["DeletionPolicy"], "RetainExceptOnCreate", "{id} outlives the stack");
        assert_eq!(table["UpdateReplacePolicy"], "Retain", "{id} outlives its replacement");
    }
    assert_eq!(template["Resources"]["GrantsQueue"]["DeletionPolicy"], "RetainExceptOnCreate");
}

#[test]
fn the_ledger_cannot_be_deleted_unless_somebody_says_so() {
    let template = read("template.yaml");
    let protected =
        &template["Resources"]["LedgerTable"]["Properties"]["DeletionProtectionEnabled"];
    assert_eq!(*protected, json!({ "Ref": "ProtectLedger" }));
    assert_eq!(template["Parameters"]["ProtectLedger"]["Default"], "true");
}

/// What a function reserves by default; nothing when the parameter says so.
fn reserved(template: &Value, id: &str) -> Option<u64> {
    let reserved = template["Resources"][id]["Properties"].get("ReservedConcurrentExecutions")?;
    let choice = reserved["Fn::If"].as_array().unwrap_or_else(|| panic!("{id} always reserves"));
    assert_eq!((&choice[0], &choice[2]), (&json!("Reserves"), &json!({ "Ref": "AWS::NoValue" })));
    let parameter = choice[1]["Ref"].as_str();
    let value = parameter.map_or(&choice[1], |name| &template["Parameters"][name]["Default"]);
    Some(value.as_u64().unwrap())
}

#[test]
fn a_crowd_leaves_concurrency_to_what_moves_money() {
    let template = read("template.yaml");
    for id in MOVES_MONEY.iter().chain(&CROWD) {
        assert!(reserved(&template, id).is_some(), "{id} reserves nothing");
    }
    let functions = of_type(&template, "AWS::Serverless::Function");
    let all: u64 = functions.iter().filter_map(|(id, _)| reserved(&template, id)).sum();
    assert!(all + UNRESERVED_MIN <= ACCOUNT_CONCURRENCY, "{all} are reserved");
}

/// Lambda returns a message to the queue when it holds back its invocation, and the receive counts.
#[test]
fn the_queues_mapping_never_invokes_more_than_is_reserved() {
    let template = read("template.yaml");
    let queued = [
        ("GrantPayFunction", "Grants"),
        ("NotifyFunction", "Notices"),
        ("CampaignSealFunction", "Seals"),
        ("CampaignPayFunction", "Chunks"),
        ("CampaignRetryFunction", "Chunks"),
        ("CampaignFanoutFunction", "Jobs"),
    ];
    for (id, event) in queued {
        let function = &template["Resources"][id]["Properties"];
        let mapping = &function["Events"][event]["Properties"]["ScalingConfig"];
        let reserved = &function["ReservedConcurrentExecutions"]["Fn::If"][1];
        assert_eq!(mapping["MaximumConcurrency"], *reserved, "{id}");
    }
}

#[test]
fn every_function_has_an_alarm_on_its_errors_and_one_on_its_throttles() {
    let (template, alarms) = (read("template.yaml"), alarms());
    for (id, function) in of_type(&template, "AWS::Serverless::Function") {
        let binary = function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap();
        for (metric, name) in [("Errors", "errors"), ("Throttles", "throttles")] {
            let its = alarms.iter().find(|alarm| {
                alarm.function.as_deref() == Some(id) && alarm.properties["MetricName"] == metric
            });
            let its = its.unwrap_or_else(|| panic!("no alarm on the {metric} of {id}"));
            assert_eq!(its.name, format!("{binary}-{name}"));
            assert_eq!(its.properties["Threshold"], 0, "{}", its.name);
            assert_eq!(its.properties["ComparisonOperator"], "GreaterThanThreshold");
        }
    }
}

#[test]
fn every_alarm_notifies_the_topic_when_it_rings_and_when_it_ends() {
    let topic = json!({ "Fn::If": [
        "HasTopic", [{ "Ref": "AlarmTopicArn" }], { "Ref": "AWS::NoValue" },
    ] });
    for alarm in alarms() {
        for action in ["AlarmActions", "OKActions"] {
            assert_eq!(alarm.properties[action], topic, "{}", alarm.name);
        }
    }
}

/// In a new stack no metric has data. An alarm that takes that for a breach rings at once.
#[test]
fn a_new_stack_rings_no_alarm_and_a_schedule_that_stopped_rings_one() {
    let mut schedules = 0;
    for alarm in alarms() {
        let missing = &alarm.properties["TreatMissingData"];
        if alarm.name.ends_with("-stopped") {
            // The metric has no value below 1, so only its absence tells.
            assert_eq!(*missing, "missing", "{}", alarm.name);
            let told = &alarm.properties["InsufficientDataActions"];
            assert_eq!(*told, alarm.properties["AlarmActions"], "{}", alarm.name);
            schedules += 1;
        } else {
            assert_eq!(*missing, "notBreaching", "{}", alarm.name);
        }
    }
    assert_eq!(schedules, 5);
}

#[test]
fn the_alarm_on_refused_claims_watches_every_route_of_the_claim() {
    let template = read("template.yaml");
    let alarms = read("infra/alarms.yaml");
    let filter = &alarms["Resources"]["ClaimsRefusedFilter"]["Properties"];
    let pattern = filter["FilterPattern"].as_str().unwrap();
    let events =
        |id: &str| template["Resources"][id]["Properties"]["Events"].as_object().unwrap().clone();
    for (_, event) in events("SprayClaimFunction").into_iter().chain(events("DropEnterFunction")) {
        let (method, path) = (&event["Properties"]["Method"], &event["Properties"]["Path"]);
        let route = format!("{} {}", method.as_str().unwrap(), path.as_str().unwrap());
        assert!(pattern.contains(&format!(r#"$.route = "{route}""#)), "{route}");
    }
    // The filter reads what the access log writes.
    let format = &template["Resources"]["HttpApi"]["Properties"]["AccessLogSettings"]["Format"];
    for field in [r#""route":"$context.routeKey""#, r#""status":"$context.status""#] {
        assert!(format.as_str().unwrap().contains(field), "{field}");
    }
}

/// The metric filter finds the lines by this field. (shared/money has the tests that log them.)
#[test]
fn the_alarm_on_a_money_mismatch_watches_both_lines_of_the_adapter() {
    let alarms = read("infra/alarms.yaml");
    let filter = &alarms["Resources"]["MoneyMismatchFilter"]["Properties"]["FilterPattern"];
    assert_eq!(*filter, "{ $.['money.mismatch'] = * }");
    let adapter = read_text("shared/money/src/answer.rs");
    assert_eq!(adapter.matches("tracing::error!").count(), 2);
    assert_eq!(adapter.matches("money.mismatch = ").count(), 2);
}

/// The metric filter finds the line by this field.
#[test]
fn the_alarm_on_guessed_tokens_watches_the_line_of_each_refusal() {
    let alarms = read("infra/alarms.yaml");
    let filter = &alarms["Resources"]["TokenMissesRefusedFilter"]["Properties"]["FilterPattern"];
    assert_eq!(*filter, r#"{ $.['limit.refused'] = "token-misses-*" }"#);
    let limits = read_text("shared/edge/src/limits/mod.rs");
    assert_eq!(limits.matches("limit.refused = policy").count(), 1);
    assert_eq!(limits.matches("=> \"token-misses-").count(), 3);
}

/// The metric filter finds the line by this field.
#[test]
fn the_alarm_on_lost_work_of_campaigns_watches_the_line_of_the_schedule() {
    let alarms = read("infra/alarms.yaml");
    let filter = &alarms["Resources"]["CampaignsResentFilter"]["Properties"]["FilterPattern"];
    assert_eq!(*filter, "{ $.['campaign.resent'] > 0 }");
    let schedule = read_text("functions/campaign-start/src/lib.rs");
    assert_eq!(schedule.matches("campaign.resent = 1").count(), 1);
}

/// The metric filter finds the line by this field.
#[test]
fn the_alarm_on_a_webhook_that_refuses_watches_the_line_of_notify() {
    let alarms = read("infra/alarms.yaml");
    let filter = &alarms["Resources"]["NotifyRefusedFilter"]["Properties"]["FilterPattern"];
    assert_eq!(*filter, "{ $.['notify.refused'] > 0 }");
    let notify = read_text("functions/notify/src/lib.rs");
    assert_eq!(notify.matches("notify.refused = status").count(), 1);
}

/// The metric filter finds the lines by this field.
#[test]
fn the_alarm_on_the_proof_watches_every_line_about_a_finding() {
    let alarms = read("infra/alarms.yaml");
    let filter = &alarms["Resources"]["ReconcileFoundFilter"]["Properties"]["FilterPattern"];
    assert_eq!(*filter, "{ $.['reconcile.found'] > 0 }");
    let run = read_text("shared/app/src/reconcile/daily.rs");
    assert_eq!(run.matches("reconcile.found = 1").count(), 4);
}

/// The metric filter finds the lines by this field.
#[test]
fn the_alarm_on_a_damaged_object_watches_the_line_of_the_archive() {
    let alarms = read("infra/alarms.yaml");
    let filter = &alarms["Resources"]["ArchiveDamagedFilter"]["Properties"]["FilterPattern"];
    assert_eq!(*filter, "{ $.['archive.damaged'] > 0 }");
    for (file, lines) in [("flight", 1), ("transfers", 2), ("progress", 2)] {
        let run = read_text(&format!("shared/app/src/archive/{file}.rs"));
        assert_eq!(run.matches("archive.damaged = 1").count(), lines, "{file}");
    }
    let function = read_text("functions/archive/src/lib.rs");
    assert_eq!(function.matches("archive.damaged = report.strays").count(), 1);
}

/// Each alarm stands in a heading of docs/operate.md, over what it means, what to look at and what to
/// type; each such heading names an alarm that exists.
#[test]
fn the_operators_page_explains_every_alarm() {
    let page = read_text("docs/operate.md");
    let (_, chapter) = page.split_once("\n## Alarms\n").unwrap();
    let (chapter, _) = chapter.split_once("\n## ").unwrap();
    let mut explained = Vec::new();
    for section in chapter.split("\n### ").skip(1) {
        let (heading, text) = section.split_once('\n').unwrap();
        for part in ["- **Meaning:**", "- **Look at:**", "- **Type:**"] {
            assert!(text.contains(part), "{heading} lacks {part}");
        }
        explained.extend(heading.split(", ").map(ToOwned::to_owned));
    }
    let mut names: Vec<String> = alarms().into_iter().map(|alarm| alarm.name).collect();
    names.sort();
    explained.sort();
    assert_eq!(explained, names);
}
