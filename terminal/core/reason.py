"""Why: the closed list of reasons (core/model.py hands it on).

Laws of this file:
- A reason is a member here and a phrase in core/phrases.py; a test fails until it has both.
- It names what happened, never who it happened to.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why: a closed list. Every member has words, a tone and a light in core/phrases.py."""

    # granted
    PAID = "paid"
    CONCESSION = "concession"
    PASS_HELD = "pass_held"
    ADMITTED = "admitted"
    GROUP = "group"
    ALREADY_PAID = "already_paid"
    TRANSFER = "transfer"
    CAPPED = "capped"
    BOARDED = "boarded"  # tap again to get off
    ALIGHTED = "alighted"
    UNFINISHED_SETTLED = "unfinished_settled"  # the last trip had no tap-out
    EXIT_UNPAIRED = "exit_unpaired"  # let out; head office finds the entry
    CONCESSION_NOT_NOW = "concession_not_now"
    CONCESSION_REVIEW_DUE = "concession_review_due"
    CONCESSION_USED_UP = "concession_used_up"
    GRACE = "grace"  # on trust; settled next time
    REENTRY = "reentry"
    CHECKED_IN = "checked_in"
    CHECKED_IN_BEFORE = "checked_in_before"  # counted already today; the way is open all the same
    EXITED = "exited"
    ACTIVATED = "activated"  # an attendant looked at the holder
    CHARGED_TODAY = "charged_today"  # the driver asked
    NOT_CHARGED_TODAY = "not_charged_today"
    ON_THE_CARD = "on_the_card"  # what a purse holds, where somebody asked
    PAID_BY_CARD = "paid_by_card"
    ALIGHTED_BY_CARD = "alighted_by_card"
    SETTLED_BY_CARD = "settled_by_card"  # the last trip had no end: both amounts are told
    # a library's kiosk
    SIGNED_IN = "signed_in"
    BORROWED = "borrowed"
    BORROWED_OFFLINE = "borrowed_offline"  # told to the library system later
    RETURNED = "returned"
    RETURNED_OFFLINE = "returned_offline"
    RETURN_ROUTED = "return_routed"
    RENEWED = "renewed"
    RENEW_REFUSED = "renew_refused"
    BOOK_ON_HOLD = "book_on_hold"
    BOOK_NOT_ON_PAD = "book_not_on_pad"  # its barcode was read, and nobody can write its security
    BOOK_NOT_RELEASED = "book_not_released"  # its security could not be taken off: the loan is undone
    BOOK_NOT_SECURED = "book_not_secured"  # given back, and its security could not be put on
    BOOK_NOT_RECOGNISED = "book_not_recognised"
    BOOK_PARTS_MISSING = "book_parts_missing"
    LOAN_REFUSED = "loan_refused"  # by the library system, in its own words
    RETURN_REFUSED = "return_refused"
    PAYMENT_REFUSED = "payment_refused"  # of a fee that was paid at the desk
    PAYMENT_UNSURE = "payment_unsure"  # nobody can know whether the library system took it
    BOOK_WITH_ANOTHER = "book_with_another"  # the library system has it with another reader: the librarian's list
    LOAN_UNSURE = "loan_unsure"  # nobody can know whether the library system was told: the librarian's list
    RETURN_UNSURE = "return_unsure"
    SEALED_OTHERWISE = "sealed_otherwise"  # under a key this site has no more: the librarian's list
    LOAN_LIMIT = "loan_limit"
    OFFLINE_LIMIT = "offline_limit"  # as many as may be lent before the library system was told
    OFFLINE_NOT_LENT = "offline_not_lent"  # by the site's policy only while the library system answers
    READER_OVERDUE = "reader_overdue"
    READER_FINE = "reader_fine"
    READER_CODE_WANTED = "reader_code_wanted"  # what was held out is nothing a library knows
    READER_ON_HOLD = "reader_on_hold"  # the library system lends this reader nothing
    READER_EXPIRED = "reader_expired"
    READER_NOT_OPENED = "reader_not_opened"  # no reader is linked to this card: register at the desk
    READER_SESSION_END = "reader_session_end"
    LIBRARY_UNREACHABLE = "library_unreachable"  # nothing was sent
    LIBRARY_NOT_LOGGED_IN = "library_not_logged_in"
    LIBRARY_SILENT = "library_silent"  # asked, no answer: it may have been done
    LIBRARY_ASKS_AGAIN = "library_asks_again"
    LIBRARY_HUNG_UP = "library_hung_up"
    LIBRARY_GARBLED = "library_garbled"
    # unreadable, or not ours
    MALFORMED = "malformed"
    TWO_CODES = "two_codes"  # more than one code before one window: which is meant?
    UNKNOWN_FORMAT = "unknown_format"
    # the eighteen checks of a ride code (core/tokens/ride_code.py); some serve every format
    LENGTH_WRONG = "length_wrong"
    VERSION_NOT_ALLOWED = "version_not_allowed"
    CERTIFICATE_MALFORMED = "certificate_malformed"
    ROOT_KEY_UNKNOWN = "root_key_unknown"
    CERTIFICATE_SIGNATURE_BAD = "certificate_signature_bad"
    CERTIFICATE_EXPIRED = "certificate_expired"
    CERTIFICATE_ISSUER_MISMATCH = "certificate_issuer_mismatch"
    ISSUER_NOT_ACCEPTED = "issuer_not_accepted"
    SIGNATURE_MARK_WRONG = "signature_mark_wrong"
    ISSUER_SIGNATURE_BAD = "issuer_signature_bad"
    HOLDER_SIGNATURE_BAD = "holder_signature_bad"
    AUTHORISATION_EXPIRED = "authorisation_expired"
    GENERATED_AFTER_AUTHORISATION = "generated_after_authorisation"
    CODE_EXPIRED = "code_expired"
    CODE_FROM_FUTURE = "code_from_future"
    OVER_CEILING = "over_ceiling"
    BLOCKED = "blocked"
    REPORTED_LOST = "reported_lost"
    CODE_USED = "code_used"
    TOO_SOON = "too_soon"
    # card token
    NOT_CANONICAL = "not_canonical"
    ALGORITHM_MISMATCH = "algorithm_mismatch"
    HEADER_NOT_UNDERSTOOD = "header_not_understood"
    ISSUER_KEY_UNKNOWN = "issuer_key_unknown"
    CLAIMS_MALFORMED = "claims_malformed"
    NOT_YET_VALID = "not_yet_valid"
    TOKEN_EXPIRED = "token_expired"
    WRONG_AUDIENCE = "wrong_audience"
    STATUS_REVOKED = "status_revoked"
    STATUS_SUSPENDED = "status_suspended"
    STATUS_UNKNOWN = "status_unknown"
    # only an online service can answer
    ONLINE_ONLY_SOCIAL_SECURITY = "online_only_social_security"
    ONLINE_ONLY_MEDICAL = "online_only_medical"
    ONLINE_ONLY_PAYMENT = "online_only_payment"
    # a card
    CARD_LEFT = "card_left"  # before anything was taken from it
    PUT_CARD_BACK = "put_card_back"  # nobody knows whether it was debited
    WAIT_FOR_CARD = "wait_for_card"  # somebody else's card has to come back first
    TWO_CARDS = "two_cards"
    CARD_UNREADABLE = "card_unreadable"
    CARD_NOT_GENUINE = "card_not_genuine"
    CARD_UNPROVEN = "card_unproven"  # it can be copied, and that is not enough for this service
    CARD_EXPIRED = "card_expired"
    CARD_TOO_SLOW = "card_too_slow"
    CARD_COUNTER_FELL = "card_counter_fell"
    CARD_REFUSED = "card_refused"  # it would not do what its own state should have allowed
    PURSE_EXPIRED = "purse_expired"
    PURSE_NOT_ACTIVE = "purse_not_active"
    PURSE_LOCKED = "purse_locked"
    PURSE_NOT_ROAMING = "purse_not_roaming"
    MODULE_UNAVAILABLE = "module_unavailable"
    # the service
    NOT_ACCEPTED_HERE = "not_accepted_here"
    COMPANIONS_USED = "companions_used"
    NOT_BOOKED = "not_booked"
    NOT_INVITED = "not_invited"  # to an event; the desk has the newer list
    OUTSIDE_TIME_SLOT = "outside_time_slot"
    QUOTA_USED = "quota_used"
    NOT_ACTIVATED = "not_activated"
    STILL_INSIDE = "still_inside"
    WRONG_WAY = "wrong_way"
    ZONE_FULL = "zone_full"
    CLOSED = "closed"
    ENTRY_MISSING = "entry_missing"  # only where the operator says so
    FARE_NOT_CHOSEN = "fare_not_chosen"
    BALANCE_SHORT = "balance_short"
    GATE_BUSY = "gate_busy"
    PASSAGE_EXPIRED = "passage_expired"  # shown after an annul, never a decision
    GATE_UNANSWERED = "gate_unanswered"  # shown when the board did not answer, never a decision
    EMERGENCY = "emergency"
    # the terminal itself
    CLOCK_UNSURE = "clock_unsure"
    PARAMETERS_MISSING = "parameters_missing"
    JOURNAL_UNAVAILABLE = "journal_unavailable"
    OUT_OF_SERVICE = "out_of_service"
