"""Abuse cases: what somebody, or bad luck, may do to a terminal, and the tests that show what then happens.

Laws of this file:
- One row a case: its number, one sentence (what comes in → what must come out), the tests that prove it.
- A test is named as pytest names it, without parameters; test_abuse_cases.py holds that each is really collected.
"""

from typing import NamedTuple

CORE, STORIES, DRIVERS = "tests/core/test_", "tests/stories/test_", "tests/drivers/test_"
CODES, RIDE, TOKEN, CBOR = f"{CORE}hostile_codes.py", f"{CORE}ride_code.py", f"{CORE}card_token.py", f"{CORE}cbor.py"
HOSTILE, CLOCK, FRAMING = f"{STORIES}hostile.py", f"{STORIES}clock.py", f"{DRIVERS}framing.py"
READER, GATE, CAMERA = (f"tests/contracts/test_{name}.py" for name in ("code_reader", "gate", "camera_reader"))
SQLITE, SHORT, RECOVERY = f"{DRIVERS}store_sqlite.py", f"{DRIVERS}store_hostile.py", f"{DRIVERS}recovery.py"
OFFICE, UPLOADER, SETTINGS = f"{DRIVERS}office_https.py", "tests/runtime/test_uploader.py", "tests/test_settings.py"
TWO = f"{STORIES}two_terminals.py"
PARK, BUS, OFFLINE = f"{STORIES}park.py", f"{STORIES}bus.py", f"{STORIES}offline.py"
PARAMETERS, CUTS, CANARY = f"{CORE}parameters_load.py", "tests/rigs/test_cuts.py", "tests/test_canary.py"
SCHEMA = f"{DRIVERS}schema.py"
SLOT, PRESENTED = "tests/contracts/test_card_slot.py", "tests/contracts/test_card_presentations.py"
CARDS = "tests/test_card_abuse.py"
FAULTS = "tests/rigs/test_faults.py"
BLINDED = "tests/blinded/test_camera_abuse.py"
CONSOLE = "tests/console/test_server.py"
DECODING, LOGS, COMMANDS = f"{DRIVERS}camera_decoding.py", "tests/test_logs.py", "tests/cli/test_commands.py"


class Case(NamedTuple):
    """What comes in → what must come out; the tests that prove it."""

    sentence: str
    tests: tuple[str, ...]


def _in(file: str, *names: str) -> tuple[str, ...]:
    return tuple(f"{file}::{name}" for name in names)


CODE_CASES = {
    1: Case(
        "a payload of no, one or two bytes → malformed; nothing escapes",
        _in(CODES, "test_next_to_nothing_is_malformed") + _in(f"{CORE}tokens.py", "test_no_bytes_raise"),
    ),
    2: Case(
        "a good code cut short at any byte → refused at each",
        _in(RIDE, "test_every_truncation_is_refused") + _in(TOKEN, "test_every_truncation_of_either_form_is_refused"),
    ),
    3: Case(
        "the largest QR code there is, and a megabyte → refused before parsing, in less than 64 KB",
        _in(CODES, "test_too_much_is_refused_before_it_is_parsed", "test_a_megabyte_on_the_line_is_not_kept"),
    ),
    4: Case(
        "any single bit of a good code flipped → refused at each",
        _in(RIDE, "test_every_single_bit_flip_is_refused") + _in(TOKEN, "test_every_single_bit_flip_is_refused"),
    ),
    5: Case(
        "zero, r or s of 0 or n, the twin with n - s → refused; a twin that holds is no new code",
        _in(CODES, "test_a_signature_out_of_range_is_refused")
        + _in(TOKEN, "test_a_second_signature_of_the_same_second_is_the_same_use")
        + _in(RIDE, "test_fault", "test_the_same_second_signed_twice_is_the_same_use"),
    ),
    6: Case(
        "a key off the curve, at infinity or of low order, whoever signed it → no key",
        _in(
            CODES,
            "test_what_is_no_point_of_the_curve_is_no_key",
            "test_a_holders_key_off_the_curve_is_refused_though_the_issuer_signed_it",
        )
        + _in(
            RIDE, "test_a_user_key_that_is_no_point_signs_nothing", "test_a_root_that_is_no_point_vouches_for_nothing"
        )
        + _in(f"{CORE}sm2.py", "test_what_is_no_point_is_no_key")
        + _in(f"{CORE}signatures.py", "test_ed25519_points_of_low_order_are_no_keys")
        + _in(PARAMETERS, "test_a_set_with_one_fault_is_refused_whole"),
    ),
    7: Case(
        "signatures in DER or BER, long lengths, trailing bytes → refused: r ‖ s is the only form",
        _in(CODES, "test_a_signature_in_der_or_ber_is_no_signature"),
    ),
    8: Case(
        "CBOR that is not deterministic (long integers, indefinite, unsorted, floats) → refused",
        _in(CBOR, "test_anything_else_is_refused") + _in(TOKEN, "test_fault"),
    ),
    9: Case(
        "a key twice in a map, at the top or nested → refused, never the first, never the last",
        _in(CODES, "test_a_key_twice_in_any_map_is_refused") + _in(CBOR, "test_anything_else_is_refused"),
    ),
    10: Case(
        "ten thousand levels, declared lengths of 2^64 - 1 → refused without recursion or allocation",
        _in(CODES, "test_depth_and_declared_sizes_are_not_believed")
        + _in(CBOR, "test_size_and_depth_are_bounded_before_anything_is_built"),
    ),
    11: Case(
        "algorithm none, HMAC with the public key, an unknown critical header → refused",
        _in(CODES, "test_the_public_key_is_no_shared_secret") + _in(TOKEN, "test_fault"),
    ),
    12: Case(
        "a key id that is unknown, a path, SQL, or huge → refused after one lookup, shown as hexadecimal only",
        _in(CODES, "test_a_key_id_is_looked_up_once_and_never_used_otherwise"),
    ),
    13: Case(
        "a right signature for another operator, audience or product → refused by its own reason",
        _in(TOKEN, "test_audience", "test_fault") + _in(RIDE, "test_fault") + _in(f"{CORE}services.py", "test_fare"),
    ),
    14: Case(
        "a second too late, a second too early, and exactly at the edge → as the table says",
        _in(CODES, "test_the_edges_of_a_life")
        + _in(RIDE, "test_freshness", "test_a_certificate_ends_with_its_month_in_the_issuers_zone")
        + _in(TOKEN, "test_freshness"),
    ),
    15: Case(
        "generated in the future → refused beyond the skew; taken within it, and the difference kept",
        _in(CODES, "test_a_generation_time_within_the_skew_is_taken_and_kept")
        + _in(HOSTILE, "test_how_far_a_phones_clock_stood_from_ours_can_be_read_from_the_entry")
        + _in(RIDE, "test_freshness"),
    ),
    16: Case(
        "a life that ends before it begins, of 292 years, negative, beyond 2^53 → refused, or bounded by our clamp",
        _in(CODES, "test_the_edges_of_a_life") + _in(TOKEN, "test_fault", "test_a_long_validity_is_clamped"),
    ),
    17: Case(
        "the same code again at the same gate a second later → one charge",
        _in(HOSTILE, "test_the_same_code_a_second_later_is_one_charge")
        + _in(BUS, "test_did_it_work_is_answered_with_already_paid"),
    ),
    18: Case(
        "the same code at two gates at once → one terminal, one history, one opening; two terminals both open within "
        "the code's freshness (140 s), head office names the code, and its holder is refused once listed",
        _in(PARK, "test_one_code_at_two_gates_in_the_same_millisecond_opens_one")
        + _in(PARK, "test_without_the_reservation_it_would_open_two")
        + _in(BUS, "test_one_code_at_two_doors_in_the_same_millisecond_opens_one")
        + _in(
            TWO,
            "test_one_code_at_two_terminals_without_a_network",
            "test_after_its_freshness_no_other_terminal_takes_it",
        ),
    ),
    19: Case(
        "replayed after a reboot, a kill in the moment of opening, a checkpoint → refused, or free of charge",
        _in(HOSTILE, "test_replayed_after_a_power_cut_in_the_moment_of_opening")
        + _in(
            BUS,
            "test_a_power_cut_does_not_make_a_ride_cost_twice",
            "test_a_clean_restart_forgets_nothing_either",
        )
        + _in(SHORT, "test_a_use_is_remembered_after_a_kill_and_after_a_checkpoint"),
    ),
    20: Case(
        "a screenshot of a rotating code → the first use only, and nothing once it is stale",
        _in(HOSTILE, "test_a_screenshot_passes_once_at_most_and_never_later") + _in(RIDE, "test_freshness"),
    ),
    21: Case(
        "two QR codes in one picture at a gate → refused as ambiguous, never two charges",
        _in(CAMERA, "TestCamera::test_two_codes_at_a_gate_are_refused")
        + _in(DECODING, "test_two_codes_in_one_picture_are_both_told")
        + _in(f"{DRIVERS}camera_presence.py", "test_no_picture_ever_opens_for_two")
        + _in(BLINDED, "test_case_21_two_codes_in_one_frame"),
    ),
    22: Case(
        "links, visiting cards, escape sequences, writing from right to left, NUL → refused, never shown, never logged",
        _in(HOSTILE, "test_nothing_held_out_is_shown_or_logged")
        + _in(CODES, "test_words_of_a_codes_length_are_no_code")
        + _in(BLINDED, "test_case_22_codes_that_are_something_else"),
    ),
    23: Case(
        "inverted, mirrored, structured-append, ECI codes → the same token, or none",
        _in(BLINDED, "test_case_23_strange_codes_are_the_same_or_nothing")
        + _in(BLINDED, "test_case_23_a_part_of_a_longer_message_is_no_token"),
    ),
    24: Case(
        "a hundred bad codes a second for ten minutes → six entries a second, and the next rider is let in",
        _in(HOSTILE, "test_ten_minutes_of_a_hundred_bad_codes_a_second_fill_nothing_and_hold_up_nobody")
        + _in(BLINDED, "test_case_24_a_hundred_invalid_codes_a_second"),
    ),
    25: Case(
        "the decoder is killed, hangs or is out of memory in the middle of a frame → refused, replaced within a second",
        _in(CAMERA, "test_a_process_that_fails_is_replaced", "test_a_process_that_talks_nonsense_is_ended")
        + _in(f"{DRIVERS}camera_confinement.py", "test_memory_has_a_limit")
        + _in(BLINDED, "test_case_25_what_sees_is_killed_hung_and_bombed"),
    ),
}

CARD_CASES = {
    26: Case(
        "a card that answers 61xx for ever → gone at the tap's budget, the next card is served",
        _in(SLOT, "TestCardSlot::test_a_hostile_card_is_bounded")
        + _in(CARDS, "test_26_27_28_32_what_a_card_answers")
        + _in(f"{CORE}apdu.py", "test_61xx_for_ever_ends_at_the_budget"),
    ),
    27: Case(
        "6Cxx for ever, another length each time → one command more, then its answer stands",
        _in(f"{CORE}apdu.py", "test_following")
        + _in(SLOT, "TestCardSlot::test_a_hostile_card_is_bounded")
        + _in(CARDS, "test_26_27_28_32_what_a_card_answers"),
    ),
    28: Case(
        "an answer of 64 KB, of no byte, of one → bounded; no answer, or none that counts",
        _in(SLOT, "TestCardSlot::test_a_hostile_card_is_bounded") + _in(CARDS, "test_26_27_28_32_what_a_card_answers"),
    ),
    29: Case(
        "lengths past the end, a thousand levels, tags twice → refused",
        _in(CARDS, "test_29_tlv_that_does_not_hold_together")
        + _in(f"{CORE}tlv.py", "test_find", "test_a_thousand_levels_are_not_followed", "test_whatever_the_bytes"),
    ),
    30: Case(
        "removed at every command → no fare without its entry; back again, the debit is settled",
        _in("tests/test_torn.py", "test_card_entries_and_head_office_agree")
        + _in(CARDS, "test_30_removed_at_every_command")
        + _in(SLOT, "TestCardSlot::test_a_card_that_leaves"),
    ),
    31: Case(
        "two cards, or another card in mid-tap → refused, or one after the other; never the wrong one",
        _in(CARDS, "test_31_two_cards_and_a_card_swapped", "test_31_served_in_turn_where_the_site_says_so")
        + _in(SLOT, "TestTwoCards::test_neither_is_alone"),
    ),
    32: Case(
        "a card that says nothing for ever → gone on our own clock, and nothing else waited",
        _in(SLOT, "TestCardSlot::test_a_mute_card_holds_up_nobody")
        + _in(CARDS, "test_26_27_28_32_what_a_card_answers"),
    ),
    33: Case("a random or copied number → never an identity", _in(CARDS, "test_33_a_number_proves_nothing")),
    34: Case(
        "a right answer 300 ms late → refused or told, as the site says; always written down",
        _in(CARDS, "test_34_an_answer_that_took_a_detour"),
    ),
    35: Case(
        "a counter below the one last seen → refused, nothing is mended by itself",
        _in(CARDS, "test_35_a_counter_that_fell"),
    ),
    36: Case(
        "pcscd killed, the reader unplugged in mid-tap → the card is gone, read again within 5 s, nothing restarted",
        _in(
            SLOT,
            "TestCardSlot::test_unplugged_and_plugged_in_again",
            "TestPcsc::test_pcscd_that_stands_still_is_noticed",
        )
        + _in(PRESENTED, "test_nothing_grows_when_pcscd_dies")
        + _in(CARDS, "test_36_the_reader_is_unplugged_in_a_tap"),
    ),
    37: Case(
        "cards held out by the thousand → no handle, descriptor, thread or memory more",
        _in(PRESENTED, "test_nothing_grows_with_presentations", "test_nothing_grows_on_the_serial_line")
        + _in(PRESENTED, "test_a_leak_is_noticed")
        + _in(CARDS, "test_37_a_thousand_cards"),
    ),
}

LINE_CASES = {
    38: Case(
        "random bytes at line rate → the next good frame is read; one log line in a while",
        _in(READER, "TestTrouble::test_garbage_at_line_rate")
        + _in(FRAMING, "TestEveryFraming::test_garbage_then_a_frame", "TestEveryFraming::test_buffers_are_bounded")
        + _in(f"{DRIVERS}scan_noise.py", "test_garbage_without_end_is_told_now_and_then"),
    ),
    39: Case(
        "a length of 65535 and silence → the buffer is free again",
        _in(FRAMING, "test_length_65535_and_silence_frees_the_buffer"),
    ),
    40: Case(
        "a frame byte by byte, two frames glued → each exactly once",
        _in(FRAMING, "TestEveryFraming::test_byte_by_byte", "test_glued_frames_are_each_read_once")
        + _in(FRAMING, "TestEveryFraming::test_cuts_change_nothing"),
    ),
}

STORAGE_CASES = {
    44: Case(
        "kill -9 at any moment of a tap → what was acknowledged is there, no opening without its entry",
        _in(SQLITE, "test_kill_9")
        + _in(CUTS, "test_the_power_is_cut_a_few_times")
        + _in(FAULTS, "test_a_tap_whose_disk_fails", "test_opening_on_hope_is_noticed"),
    ),
    45: Case(
        "the power goes at any moment → the same; the start takes seconds",
        _in(CUTS, "test_the_power_is_cut_a_few_times")
        + _in(RECOVERY, "test_the_start_looks_at_the_newest_only"),  # how long it takes: `benchmarks start`
    ),
    46: Case(
        "the disk is full → refused before the gate; reading, uploading and receipts go on",
        _in(SQLITE, "test_full_disk", "test_a_journal_that_filled_its_disk_makes_room_by_itself")
        + _in(FAULTS, "test_a_tap_whose_disk_fails", "test_opening_on_hope_is_noticed")
        + _in(PARK, "test_a_full_disk_keeps_the_gate_shut_until_there_is_room")
        + _in(PARK, "test_a_terminal_starts_on_a_full_disk_and_makes_room_by_uploading"),
    ),
    47: Case(
        "the file system goes read-only → the journal ends at once, refuses to start, and reads what it held",
        _in(SHORT, "test_a_file_system_that_went_read_only_ends_the_journal_at_once"),
    ),
    48: Case(
        "a flush fails once → the process ends, every waiter hears it, the next start verifies",
        _in(SQLITE, "test_failed_flush_is_the_end") + _in(FAULTS, "test_a_tap_whose_disk_fails"),
    ),
    49: Case(
        "a flush takes five seconds → nothing opens on hope, and the rider pays once",
        _in(HOSTILE, "test_a_flush_of_five_seconds_opens_nothing_on_hope")
        + _in(GATE, "TestGate::test_stale_order_is_never_sent"),
    ),
    50: Case(
        "one bit of database, log, head file or parameters → noticed, a copy kept, a person told",
        _in(SQLITE, "test_flipped_byte", "test_head_file")
        + _in(RECOVERY, "test_damage_is_noticed_before_the_first_gate_opens")
        + _in(RECOVERY, "test_damage_far_back_is_found_while_the_terminal_runs")
        + _in("tests/rigs/test_damage.py", "test_damage_is_noticed_or_changes_nothing")
        + _in(PARAMETERS, "test_a_flipped_bit_refuses_the_set"),
    ),
    51: Case(
        "log deleted or of yesterday, header zeroed, database empty → damage, never a silent fresh start",
        _in(SQLITE, "test_lost_files", "test_shortened_log", "test_a_ruined_index_of_the_log_counts_for_nothing")
        + _in(
            "tests/rigs/test_damage.py",
            "test_damage_is_noticed_or_changes_nothing",
            "test_sqlite_alone_notices_nothing",
        ),
    ),
    52: Case(
        "an old disk image comes back → noticed at head office, a new epoch, nothing double, nothing lost",
        _in(OFFLINE, "test_an_old_disk_is_noticed_by_head_office")
        + _in(UPLOADER, "test_an_old_disk_image_begins_a_new_epoch_and_nothing_is_double_or_lost")
        + _in(f"{STORIES}restored_disk.py", "test_yesterdays_image"),
    ),
    53: Case(
        "weeks of backlog → a tap asks and the uploader takes with the same work as on the first day",
        _in(SHORT, "test_weeks_of_backlog_do_not_slow_a_tap")
        + _in(OFFLINE, "test_after_days_offline_fresh_taps_arrive_first"),
    ),
    54: Case(
        "two daemons at once → one writes, the other ends by the lock",
        _in(SQLITE, "test_second_process") + _in(SHORT, "test_every_second_start_at_once_ends_by_the_lock"),
    ),
    55: Case(
        "an older schema → brought forward, whole or not at all; a newer one → refused",
        _in(
            SCHEMA,
            "test_every_version_has_its_journal",
            "test_an_older_journal_goes_on",
            "test_a_migration_that_is_cut",
        )
        + _in(SQLITE, "test_newer_schema"),
    ),
}

CLOCK_CASES = {
    56: Case(
        "the clock goes back an hour, ten years, to 1970 → validity never widens, order kept, told",
        _in(CLOCK, "test_the_clock_is_set_back_while_running", "test_without_the_floor_an_old_code_would_pass_again")
        + _in(CLOCK, "test_no_sequence_of_jumps_and_reboots_revives_a_code")
        + _in(
            "tests/rigs/test_set_clock.py",
            "test_the_clock_is_set_while_it_runs_and_between_reboots",
            "test_a_terminal_that_believes_any_clock_is_noticed",
        ),
    ),
    57: Case(
        "the clock goes ahead ten years and back → nothing expires for ever",
        _in(CLOCK, "test_ten_years_ahead_and_back_expires_nothing_for_ever", "test_one_witness_alone_lowers_nothing")
        + _in(CLOCK, "test_a_clock_that_ran_ahead_and_is_set_right_serves_again_once_it_has_caught_up"),
    ),
    58: Case(
        "started with a dead clock and no network → from the journal's time on, flagged, told",
        _in(CLOCK, "test_a_dead_clock_at_the_start_begins_at_the_journal")
        + _in("tests/contracts/test_store.py", "TestStore::test_floors")
        + _in("tests/rigs/test_set_clock.py", "test_the_clock_is_set_while_it_runs_and_between_reboots")
        + _in(RECOVERY, "test_damage_and_a_dead_clock_take_no_time_back"),
    ),
    59: Case(
        "a jump, a leap second, DST in the middle of a batch → the same bytes, waits unaffected",
        _in(CLOCK, "test_a_batch_sent_across_a_jump_is_the_same_batch", "test_waiting_is_not_a_matter_of_the_clock")
        + _in(CLOCK, "test_the_clock_is_set_in_the_middle_of_a_tap"),
    ),
    60: Case(
        "the process stands still for minutes → what waited is dropped, no gate opens late",
        _in(READER, "TestTrouble::test_what_came_while_the_process_stood_still_is_dropped")
        + _in(GATE, "TestGate::test_stale_order_is_never_sent")
        + _in("tests/rigs/test_stopped.py", "test_a_terminal_that_stood_still_opens_for_nobody_who_left"),
    ),
}

UPLOAD_CASES = {
    61: Case(
        "accepted, and the connection dies → sent again, kept once",
        _in(OFFICE, "test_the_connection_dies_before_or_after_head_office_has_stored"),
    ),
    62: Case(
        "an acknowledgement of something else, doubled, older → ignored, told, nothing marked",
        _in(OFFICE, "test_an_acknowledgement_of_something_else_marks_nothing", "test_a_replayed_receipt_marks_nothing"),
    ),
    63: Case(
        "an acknowledgement with a wrong hash or signature → none",
        _in(OFFICE, "test_an_acknowledgement_with_a_wrong_hash_or_a_bad_signature_marks_nothing"),
    ),
    64: Case(
        "413 → halved down to one record, which is parked while the queue goes on",
        _in(OFFICE, "test_too_large_halves_down_to_one_record_which_is_parked_while_the_queue_goes_on"),
    ),
    65: Case(
        "a Retry-After of 0, -1, 10^9, text, a date in the past → a second to an hour, with jitter",
        _in(OFFICE, "test_an_odd_retry_after_is_clamped_between_a_second_and_an_hour_with_jitter"),
    ),
    66: Case("a redirect → not followed, nothing said to anybody else", _in(OFFICE, "test_a_redirect_is_not_followed")),
    67: Case(
        "a portal's page, 204, nothing, a byte a second, bodies and headers without end, a bomb → bounded, no receipt",
        _in(OFFICE, "test_what_is_no_acknowledgement_is_bounded_in_time_and_memory")
        + _in(OFFICE, "test_a_body_that_says_it_is_a_receipt_is_only_read_as_one"),
    ),
    68: Case(
        "a wrong, expired, not yet valid certificate, another name, old TLS, ours revoked → an alarm each, no payload",
        _in(OFFICE, "test_a_certificate_that_is_wrong_has_its_own_alarm_and_no_payload_is_sent")
        + _in(OFFICE, "test_a_head_office_with_old_tls_is_told_as_such")
        + _in(OFFICE, "test_our_certificate_refused_in_tls_has_its_own_alarm"),
    ),
    69: Case(
        "a name that does not resolve, resolves elsewhere, changes → no leak, no growth, back at once",
        _in(OFFICE, "test_a_name_that_does_not_resolve_or_resolves_elsewhere_or_changes"),
    ),
    70: Case(
        "a link that flaps → progress whenever a batch fits, each record once",
        _in(OFFICE, "test_a_flapping_link_makes_progress_and_no_duplicate")
        + _in("tests/test_chaos.py", "test_chaos_loses_nothing_and_doubles_nothing"),
    ),
    71: Case(
        "batches cut elsewhere after a crash → counted once",
        _in(OFFICE, "test_batches_cut_elsewhere_after_a_crash_count_once"),
    ),
    72: Case(
        "the same name with other content → kept aside, told, issued again",
        _in(OFFICE, "test_the_same_name_with_other_content_is_kept_aside_with_an_alarm"),
    ),
    73: Case(
        "ten thousand terminals come back → apart from one another, and 503 loses nothing",
        _in(OFFICE, "test_ten_thousand_terminals_do_not_come_back_at_once_and_busy_loses_nothing"),
    ),
}

BOX_CASES = {
    88: Case(
        "log lines, escape sequences, U+2028, a script in a field → one escaped line",
        _in(LOGS, "test_one_event_is_one_line_whatever_is_in_it")
        + _in(HOSTILE, "test_nothing_held_out_is_shown_or_logged")
        + _in(CONSOLE, "test_words_are_words", "test_every_answer_is_guarded", "test_the_index_links_what_there_is"),
    ),
    89: Case(
        "a canary held up in every way → not in journal, log, traceback, core or what is sent",
        _in(
            CANARY,
            "test_a_canary_is_found_nowhere",
            "test_a_planted_leak_is_found",
            "test_a_core_would_hold_the_canary",
        ),
    ),
    90: Case(
        "any failure's traceback → where, never with what; no core",
        _in(CANARY, "test_a_traceback_names_nobody", "test_a_canary_is_found_nowhere")
        + _in(LOGS, "test_a_code_never_reaches_the_log"),
    ),
    91: Case(
        "a keyboard is plugged in and types, a stick brings a program → nothing listens, nothing is mounted or run",
        _in(COMMANDS, "test_what_is_typed_into_its_console_is_nobodys_command")
        + _in("tests/test_starts.py", "test_nothing_that_somebody_brought_is_started"),
    ),
    92: Case(
        "the key is copied to another board → head office sees a fork, the boards hear of each other",
        _in(f"{DRIVERS}office_clone.py", "test_a_copied_key_is_seen_by_head_office_and_told_by_the_terminal"),
    ),
    93: Case(
        "the box is opened → told at once, its key marked; what was signed for stands, what was not sent is carried",
        _in("tests/test_box_opened.py", "test_opened_told_marked_revoked_and_carried_by_hand")
        + _in(
            f"{STORIES}box.py",
            "test_the_box_is_opened_and_head_office_hears_of_it_before_the_backlog",
            "test_a_lid_that_rattles_fills_no_journal",
            "test_a_box_that_stands_open_at_the_start_is_told",
        )
        + _in(GATE, "test_the_lid_of_the_box_is_told_when_it_is_lifted_and_when_it_stayed_on")
        + _in("tests/cli/test_journal_command.py", "test_export"),
    ),
    94: Case(
        "an unknown key, a wrong type, a gate that stands open, a journal without guards → refuses to start",
        _in(SETTINGS, "test_a_mistake_names_file_section_and_key_and_what_to_try") + _in(SQLITE, "test_guard_refused"),
    ),
    95: Case("out of memory in a tap → as a kill", _in(SHORT, "test_out_of_memory_is_like_a_kill")),
    96: Case(
        "no free descriptor → taps go on, uploading fails like any other time and recovers",
        _in(SHORT, "test_without_a_free_descriptor_taps_go_on_and_the_upload_comes_later"),
    ),
    97: Case(
        "a thousand log lines a second → capped, counted, errors pass",
        _in(LOGS, "test_a_source_that_shouts_is_capped_and_counted_and_errors_pass"),
    ),
}

CASES: dict[int, Case] = CODE_CASES | CARD_CASES | LINE_CASES | STORAGE_CASES | CLOCK_CASES | UPLOAD_CASES | BOX_CASES
WANTED = [*range(1, 41), *range(44, 74), *range(88, 98)]
