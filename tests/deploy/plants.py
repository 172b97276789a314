"""Templates with a planted mistake: the story must turn red, and for that mistake."""

import re

from caller import Red, must
from stack import Stack
from story import Story


class Plant:
    def __init__(self, name, found, replaced, part, told, patience=60):
        self.name, self.found, self.replaced = name, found, replaced
        self.part, self.told, self.patience = part, told, patience

    def change(self, template):
        changed, count = re.subn(self.found, self.replaced, template, flags=re.DOTALL)
        must(count == 1, f"the plant {self.name} fits {count} places of the template")
        return changed


ALL = [
    Plant(
        "a-policy-without-an-action",
        r"(PolicyName: grant-pay\n.*?Sid: MoveTheMoney\n.*?)"
        r"                  - dynamodb:UpdateItem\n",
        r"\1",
        lambda story: story.only_draws_reach_the_outbox(),
        "late is not paid",
        # It waits for what never happens. Without the plant it happens within a second.
        patience=10,
    ),
    Plant(
        "a-mapping-without-its-filter",
        r"            FilterCriteria:\n.*?\n(?=            # Bounded by age)",
        "",
        lambda story: story.only_draws_reach_the_outbox(),
        "the outbox was given",
    ),
    Plant(
        "a-queue-without-its-dead-letter-queue",
        r"(-grants\.fifo\n(?:(?!Type:).)*?)      RedrivePolicy:\n.*?maxReceiveCount: 500\n",
        r"\1",
        lambda story: story.a_message_received_too_often_is_dead_lettered(),
        "the message is not in the dead-letter queue",
    ),
]


def turns_red(emulator, bootstraps, plant):
    stack = Stack(emulator, plant.name, bootstraps, plant.change)
    stack.deploy(ProtectLedger="false")
    try:
        plant.part(Story(stack, plant.patience))
    except Red as red:
        must(plant.told in str(red), f"{plant.name}: red for another reason: {red}")
        print(f"  {plant.name}: red, as it must be: {red}")
    else:
        raise Red(f"{plant.name} goes unnoticed")
    finally:
        stack.delete()
