//! The dashboards of infra/: what they show exists, and what exists is shown.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::template::{of_type, read};

/// A dashboard: its widgets, and the parameters that the template gives to its stack.
struct Dashboard {
    file: String,
    widgets: Vec<Value>,
    given: Value,
}

fn dashboards() -> Vec<Dashboard> {
    let template = read("template.yaml");
    let mut found = Vec::new();
    for resource in template["Resources"].as_object().unwrap().values() {
        let Some(file) = resource["Properties"]["TemplateURL"].as_str() else { continue };
        for one in read(file)["Resources"].as_object().unwrap().values() {
            let Some(body) = one["Properties"]["DashboardBody"]["Fn::Sub"].as_str() else {
                continue;
            };
            let body: Value = serde_json::from_str(body).unwrap();
            let widgets = body["widgets"].as_array().unwrap().clone();
            let given = resource["Properties"]["Parameters"].clone();
            found.push(Dashboard { file: file.to_owned(), widgets, given });
        }
    }
    assert_eq!(found.len(), 2);
    found
}

/// The metrics of all dashboards, each with its dashboard: namespace, name, then dimensions.
fn metrics() -> Vec<(Value, Vec<String>)> {
    let mut found = Vec::new();
    for Dashboard { widgets, given, .. } in dashboards() {
        for widget in widgets.iter().filter(|widget| widget["type"] == "metric") {
            for metric in widget["properties"]["metrics"].as_array().unwrap() {
                let texts = metric.as_array().unwrap().iter().filter_map(Value::as_str);
                found.push((given.clone(), texts.map(str::to_owned).collect()));
            }
        }
    }
    found
}

/// The values of a dimension: what it stands for in the template.
fn values(dimension: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (given, metric) in metrics() {
        for pair in metric[2..].chunks_exact(2).filter(|pair| pair[0] == dimension) {
            let parameter = pair[1].strip_prefix("${").and_then(|text| text.strip_suffix('}'));
            let value = match parameter.map(|name| &given[name]) {
                Some(value) => value["Ref"].as_str().or(value["Fn::GetAtt"].as_str()).unwrap(),
                None => &pair[1],
            };
            found.insert(value.to_owned());
        }
    }
    found
}

#[test]
fn no_widget_of_a_dashboard_lies_on_another_or_beside_the_page() {
    for Dashboard { file, widgets, .. } in dashboards() {
        let mut taken = BTreeSet::new();
        for widget in &widgets {
            let side = |name: &str| widget[name].as_u64().unwrap();
            let (x, y, title) = (side("x"), side("y"), &widget["properties"]);
            // CloudWatch's page is 24 units wide.
            assert!(x + side("width") <= 24, "{file}: {title}");
            for (column, row) in (x..x + side("width"))
                .flat_map(|column| (y..y + side("height")).map(move |row| (column, row)))
            {
                assert!(taken.insert((column, row)), "{file}: {title}");
            }
        }
    }
}

#[test]
fn the_dashboards_show_every_function_table_and_queue() {
    let template = read("template.yaml");
    let functions = of_type(&template, "AWS::Serverless::Function").into_iter();
    let functions = functions.map(|(id, _)| id.to_owned());
    assert_eq!(values("FunctionName"), functions.collect());
    let names = of_type(&template, "AWS::DynamoDB::Table").into_iter().map(|(_, table)| {
        let name = table["Properties"]["TableName"]["Fn::Sub"].as_str().unwrap();
        name.replace("AWS::StackName", "Name")
    });
    assert_eq!(values("TableName"), names.collect());
    let queues = of_type(&template, "AWS::SQS::Queue").into_iter();
    let queues = queues.map(|(id, _)| format!("{id}.QueueName"));
    assert_eq!(values("QueueName"), queues.collect());
}

#[test]
fn the_dashboards_name_only_routes_and_metrics_that_exist() {
    let (template, mut routes) = (read("template.yaml"), BTreeSet::new());
    for (_, function) in of_type(&template, "AWS::Serverless::Function") {
        for event in function["Properties"]["Events"].as_object().unwrap().values() {
            let (method, path) = (&event["Properties"]["Method"], &event["Properties"]["Path"]);
            if let (Some(method), Some(path)) = (method.as_str(), path.as_str()) {
                routes.insert(format!("{method} {path}"));
            }
        }
    }
    let filters = read("infra/alarms.yaml")["Resources"].as_object().unwrap().clone();
    let written: BTreeSet<String> = filters
        .values()
        .filter_map(|one| one["Properties"]["MetricTransformations"][0]["MetricName"].as_str())
        .map(str::to_owned)
        .collect();
    let (mut shown, mut own) = (0, 0);
    for (_, metric) in metrics() {
        if let Some(at) = metric.iter().position(|text| text == "Method") {
            let route = format!("{} {}", metric[at + 1], metric[at + 3]);
            assert!(routes.contains(&route), "{route}");
            shown += 1;
        }
        if metric[0] == "Largesse/${Name}" {
            assert!(written.contains(&metric[1]), "no filter writes {}", metric[1]);
            own += 1;
        }
    }
    assert!(shown > 10 && own > 3, "{shown} routes, {own} metrics of its own");
}
