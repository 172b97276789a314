"""template.yaml, deployed onto the emulator."""

import io
import json
import re
import time
import zipfile
from pathlib import Path

from caller import must

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "artifacts"
DEPLOYS_WITHIN_S = 180
# Limits that no caller reaches: a caller here sends more than a member does. By parameter, and the
# environment variable that it becomes.
LIMITS = {
    "RequestsMemberPerS": "REQUESTS_MEMBER_PER_S",
    "RequestsOwnerPerS": "REQUESTS_OWNER_PER_S",
    "TokenMissesMemberMax": "TOKEN_MISSES_MEMBER_MAX",
    "TokenMissesRoomMax": "TOKEN_MISSES_ROOM_MAX",
    "TokenMissesOwnerMax": "TOKEN_MISSES_OWNER_MAX",
    "CreationsMemberMax": "CREATIONS_MEMBER_MAX",
    "CreationsOwnerMax": "CREATIONS_OWNER_MAX",
}
LIMIT_MAX = "1000000000"


class Stack:
    """A deployed stack and the clients that look at it."""

    def __init__(self, emulator, name, bootstraps, change=lambda template: template):
        self.name = name
        self.emulator = emulator
        self.bootstraps = Path(bootstraps)
        self.change = change
        self.apigatewayv2 = emulator.client("apigatewayv2")
        self.cloudformation = emulator.client("cloudformation")
        self.cloudwatch = emulator.client("cloudwatch")
        self.dynamodb = emulator.client("dynamodb")
        self.events = emulator.client("events")
        self.iam = emulator.client("iam")
        self.lambdas = emulator.client("lambda")
        self.logs = emulator.client("logs")
        self.s3 = emulator.client("s3")
        self.scheduler = emulator.client("scheduler")
        self.sqs = emulator.client("sqs")

    def package(self) -> str:
        """Uploads the functions and the nested stacks; the template that names them there."""
        try:
            self.s3.create_bucket(Bucket=BUCKET)
        except self.s3.exceptions.BucketAlreadyOwnedByYou:
            pass
        template = (ROOT / "template.yaml").read_text()

        def function(found):
            name = found.group(1)
            key = f"{name}.zip"
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
                entry = zipfile.ZipInfo("bootstrap")
                entry.external_attr = 0o755 << 16
                archive.writestr(entry, (self.bootstraps / name).read_bytes())
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=packed.getvalue())
            return f"CodeUri: s3://{BUCKET}/{key}"

        def nested(found):
            path = found.group(1)
            body = json.dumps(without_metric_math(ROOT / path))
            self.s3.put_object(Bucket=BUCKET, Key=path, Body=body.encode())
            return f"TemplateURL: https://s3.amazonaws.com/{BUCKET}/{path}"

        def number(found):
            default = re.search(rf"  {found.group(1)}:\n    Type: Number\n    Default: (\d+)", template)
            return f"MaximumConcurrency: {default.group(1)}"

        # CloudFormation makes a number of the parameter; here it would stay a text, which the poller
        # of a standard queue cannot compare.
        template = re.sub(r"MaximumConcurrency: !Ref (\w+)", number, template)
        template = re.sub(r"CodeUri: functions/(\S+)", function, template)
        template = re.sub(r"TemplateURL: (infra/\S+)", nested, template)
        # The emulator finds no value absent below an attribute that is absent itself.
        absent = '"sold_out_ms":{"N":[{"exists":false}]}'
        must(template.count(absent) == 1, "the filter of the stream of products has changed")
        template = template.replace(absent, '"sold_out_ms":[{"exists":false}]')
        return self.change(template)

    def deploy(self, **parameters):
        """Creates the stack, or updates it."""
        there = self.status() is not None
        act = self.cloudformation.update_stack if there else self.cloudformation.create_stack
        given = {"Auth": "open"} | dict.fromkeys(LIMITS, LIMIT_MAX) | parameters
        # From the bucket, as `sam deploy` does: CloudFormation takes 51,200 bytes in a request.
        key = f"{self.name}.yaml"
        template = self.package()
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=template.encode())
        act(
            StackName=self.name,
            TemplateURL=f"https://s3.amazonaws.com/{BUCKET}/{key}",
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        ends_at = time.monotonic() + DEPLOYS_WITHIN_S
        while (status := self.status()).endswith("_IN_PROGRESS"):
            if time.monotonic() > ends_at:
                raise RuntimeError(f"{self.name} stays {status}")
            time.sleep(0.2)
        if status not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
            raise RuntimeError(f"{self.name}: {status}: {json.dumps(events, default=str)[:3000]}")
        found = self.cloudformation.describe_stack_resources(StackName=self.name)
        self.resources = {
            one["LogicalResourceId"]: one["PhysicalResourceId"] for one in found["StackResources"]
        }
        self.allow_what_aws_allows()
        self.make_routes()

    def status(self):
        try:
            found = self.cloudformation.describe_stacks(StackName=self.name)
        except self.cloudformation.exceptions.ClientError:
            return None
        return found["Stacks"][0]["StackStatus"]

    def delete(self):
        self.cloudformation.delete_stack(StackName=self.name)
        ends_at = time.monotonic() + DEPLOYS_WITHIN_S
        while (status := self.status()) not in (None, "DELETE_COMPLETE"):
            if status == "DELETE_FAILED" or time.monotonic() > ends_at:
                raise RuntimeError(f"{self.name} stays {status}")
            time.sleep(0.2)

    def allow_what_aws_allows(self):
        """On AWS, sqs:SendMessage covers SendMessageBatch. Here it is an action of its own: roles
        that may send to the grants queue get it, and for that queue only."""
        for role in self.iam.list_roles()["Roles"]:
            name = role["RoleName"]
            if not name.startswith(f"{self.name}-"):
                continue
            for policy in self.iam.list_role_policies(RoleName=name)["PolicyNames"]:
                found = self.iam.get_role_policy(RoleName=name, PolicyName=policy)
                for statement in found["PolicyDocument"]["Statement"]:
                    if self.sends_grants(statement):
                        self.allow_batches(name, statement)

    def sends_grants(self, statement):
        actions = statement["Action"]
        actions = actions if isinstance(actions, list) else [actions]
        to = str(statement["Resource"])
        return "sqs:SendMessage" in actions and to.endswith(f":{self.name}-grants.fifo")

    def allow_batches(self, role, statement):
        allowed = statement | {"Sid": "Batch", "Action": "sqs:SendMessageBatch"}
        document = {"Version": "2012-10-17", "Statement": [allowed]}
        self.iam.put_role_policy(
            RoleName=role, PolicyName="emulator-only", PolicyDocument=json.dumps(document)
        )

    def make_routes(self):
        """The emulator ignores an API's OpenAPI body, which is where SAM puts the routes."""
        api = self.resources["HttpApi"]
        taken = {route["RouteKey"] for route in self.apigatewayv2.get_routes(ApiId=api)["Items"]}
        integrations = {}
        for function, key in routes():
            if key in taken:
                continue
            if function not in integrations:
                name = self.resources[function]
                about = self.lambdas.get_function(FunctionName=name)["Configuration"]
                made = self.apigatewayv2.create_integration(
                    ApiId=api,
                    IntegrationType="AWS_PROXY",
                    IntegrationMethod="POST",
                    IntegrationUri=about["FunctionArn"],
                    PayloadFormatVersion="2.0",
                )
                integrations[function] = made["IntegrationId"]
            target = f"integrations/{integrations[function]}"
            self.apigatewayv2.create_route(ApiId=api, RouteKey=key, Target=target)

    @property
    def host(self) -> str:
        return f"{self.resources['HttpApi']}.execute-api.localhost"


def without_metric_math(path):
    """A nested stack without the alarms that the emulator refuses."""
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse(path.read_text())
    resources = template["Resources"].items()
    template["Resources"] = {
        name: one for name, one in resources if "Metrics" not in one.get("Properties", {})
    }
    return template


def routes():
    """Each function with its routes, as SAM reads them."""
    from samtranslator.yaml_helper import yaml_parse

    template = yaml_parse((ROOT / "template.yaml").read_text())
    for function, resource in template["Resources"].items():
        for event in resource["Properties"].get("Events", {}).values():
            if event["Type"] == "HttpApi":
                about = event["Properties"]
                path = about.get("Path")
                yield function, f"{about['Method']} {path}" if path else "$default"
