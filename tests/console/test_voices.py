"""What is said aloud: every phrase, in both languages, without a figure and without what somebody is."""

import array
import shutil
import wave
from pathlib import Path

import pytest

from terminal.__main__ import main
from terminal.cli import exit_codes
from terminal.core.model import Reason
from terminal.core.phrases import display, recordings, speech, spoken


@pytest.mark.parametrize("reason", Reason)
def test_every_phrase_has_words_to_say(reason: Reason) -> None:
    """No placeholder, no digit; in Chinese the display's first words, but for what is nobody else's business."""
    said = speech(reason)
    assert said.zh and said.en
    assert not any(character in said.zh + said.en for character in "{}¥0123456789")
    assert spoken(display(reason, {})).startswith(said.zh) or said.zh in ("请找工作人员", "请看屏幕")


@pytest.mark.parametrize(
    ("reason", "zh", "en"),
    [
        (Reason.PAID_BY_CARD, "刷卡成功", "Paid"),
        (Reason.BLOCKED, "请找工作人员", "Please ask a member of staff"),
        (Reason.READER_FINE, "请看屏幕", "Please look at the screen"),
        (Reason.GROUP, "欢迎", "Welcome"),
        (Reason.CODE_EXPIRED, "乘车码已过期", "Code expired"),
        (Reason.CONCESSION_NOT_NOW, "本时段按普通票", "Ordinary fare at this hour"),
    ],
)
def test_what_is_said(reason: Reason, zh: str, en: str) -> None:
    """The first words, before any figure."""
    assert (speech(reason).zh, speech(reason).en) == (zh, en)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is missing (apt-get install espeak-ng)")
def test_every_phrase_is_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file each, as a kiosk's sound card takes it: some seconds at most, and something is heard."""
    assert main(["voices", str(tmp_path)]) == exit_codes.OK
    for language in ("zh", "en"):
        assert {path.stem for path in (tmp_path / language).iterdir()} == set(recordings())
        for path in (tmp_path / language).iterdir():
            with wave.open(str(path)) as file:
                assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 11_025)
                samples = array.array("h", file.readframes(file.getnframes()))
            assert 0.2 < len(samples) / 11_025 < 6.0, path
            assert max(samples) > 2000, path
    assert "phrases in 2 languages" in capsys.readouterr().out


def test_without_a_speaker_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And writes nothing."""
    monkeypatch.setenv("PATH", "")
    assert main(["voices", str(tmp_path / "voices")]) == exit_codes.DEVICE
    assert "apt-get install espeak-ng" in capsys.readouterr().err and not (tmp_path / "voices").exists()
