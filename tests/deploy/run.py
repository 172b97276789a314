"""Deploys template.yaml with real bootstraps onto an emulator and plays on it. See README.md.

run.py --bootstraps target/shipped --largesse target/debug/largesse [--malformed requests.jsonl]
"""

import argparse
import sys
import time

import plants
from answers import compare
from caller import Caller, Red, must
from emulator import Emulator
from local import Local
from offers import Offers
from stack import Stack
from story import Story


def timed(part, *arguments):
    began = time.monotonic()
    part(*arguments)
    print(f"  {part.__name__.replace('_', ' ')}: {time.monotonic() - began:.1f} s", flush=True)


def whole_story(story, offers, largesse):
    timed(story.only_draws_reach_the_outbox)
    timed(story.answers_and_errors)
    timed(story.a_crowd_is_paid_once_though_all_is_sent_twice)
    timed(story.the_sweep_finds_everybody_paid)
    timed(story.the_archive_finds_nothing_old)
    timed(offers.a_drop_is_entered_until_it_is_sold_out)
    timed(offers.a_product_is_sold_out_and_another_misses_its_minimum)
    timed(story.histories)
    timed(story.a_message_that_cannot_be_read_holds_up_nobody)
    timed(story.a_grant_that_was_given_up_is_paid_by_the_operator, largesse)
    timed(story.an_entry_that_no_draw_wrote_goes_to_the_outboxs_queue)
    timed(story.a_message_received_too_often_is_dead_lettered)
    timed(story.all_is_sent_again_from_the_stream)


def a_new_stack_rings_no_alarm(stack):
    found = stack.cloudwatch.describe_alarms(AlarmNamePrefix=f"{stack.name}-")["MetricAlarms"]
    must(len(found) > 20, f"{len(found)} alarms")
    ringing = [alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM"]
    must(not ringing, f"{ringing} ring")


def an_update_keeps_everything(stack, story):
    """Every function gets another environment, so each starts anew."""
    stack.deploy(LogLevel="debug")
    story.everybody_has_what_they_won()
    token = story.spray(20, 2)
    share = story.claim("m03", token)
    story.won["m03"] = story.won.get("m03", 0) + share
    story.caller.paid("m03", story.won["m03"])
    story.caller.until(lambda: story.log('"level":"DEBUG"'), "no function logs at the new level")


def a_second_stack_leaves_the_first_alone(first, story, second):
    """Beside it, with the same users and their own money; then it is deleted."""
    schedules = {one["Name"] for one in first.scheduler.list_schedules()["Schedules"]}
    second.deploy(ProtectLedger="false")
    other = Caller(second.emulator.port, second.host)
    before = story.caller.balance("ann")
    other.deposit("ann", 100)
    room = other.room("ann", ["m00"])
    token = other.spray("ann", room, 10, 2)
    other.paid("m00", other.claim("m00", room, token).expect(201, "a claim")["amount"])
    must(other.balance("ann") == 90, "the second stack's money")
    must(story.caller.balance("ann") == before, "the first stack's money changed")
    story.everybody_has_what_they_won()
    two = {one["Name"] for one in first.scheduler.list_schedules()["Schedules"]}
    must(len(two) == 2 * len(schedules), f"the schedules of two stacks: {two}")
    second.delete()
    left = {one["Name"] for one in first.scheduler.list_schedules()["Schedules"]}
    must(left == schedules, f"the schedules of the first stack: {left}")


def the_same_answers_deployed_and_local(stack, table, largesse):
    with Local(largesse) as local:
        compare(table, (stack.emulator.port, stack.host), (local.port, f"127.0.0.1:{local.port}"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstraps", required=True, help="folder of the functions' binaries")
    parser.add_argument("--largesse", required=True, help="the command")
    parser.add_argument("--malformed", help="requests, one JSON object a line")
    parser.add_argument("--keep-log", help="where to write the emulator's log")
    given = parser.parse_args()
    began = time.monotonic()
    with Emulator() as emulator:
        stack = Stack(emulator, "largesse", given.bootstraps)
        timed(stack.deploy)
        timed(a_new_stack_rings_no_alarm, stack)
        story = Story(stack)
        offers = Offers(story)
        whole_story(story, offers, given.largesse)
        timed(an_update_keeps_everything, stack, story)
        beside = Stack(emulator, "beside", given.bootstraps)
        timed(a_second_stack_leaves_the_first_alone, stack, story, beside)
        if given.malformed:
            timed(the_same_answers_deployed_and_local, stack, given.malformed, given.largesse)
        for plant in plants.ALL:
            timed(plants.turns_red, emulator, given.bootstraps, plant)
        timed(story.the_rest_is_refunded_by_the_schedule)
        timed(offers.the_products_are_settled_by_the_schedule)
        timed(story.the_sums_are_right)
        if given.keep_log:
            open(given.keep_log, "w").write(emulator.log.read_text(errors="replace"))
    print(f"deployed as it is: all green after {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except Red as red:
        sys.exit(f"RED: {red}")
