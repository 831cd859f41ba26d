// Tones and spoken words. A browser that may not sound yet stays silent and tries again with the next picture;
// a kiosk's browser is started with --autoplay-policy=no-user-gesture-required.
"use strict";

// [start in seconds, hertz, seconds, loudness], by the names of the phrases' table. Nothing that follows a charge
// sounds like an alarm: high and short, or soft.
const TONES = {
  ok: [[0, 1568, 0.12, 0.5]],
  ok_soft: [[0, 1175, 0.25, 0.25]],
  ok_then_notice: [[0, 1568, 0.12, 0.5], [0.42, 880, 0.18, 0.3]],
  notice: [[0, 880, 0.15, 0.4], [0.22, 880, 0.15, 0.4]],
  again: [[0, 784, 0.09, 0.4], [0.15, 784, 0.09, 0.4]],
  stop: [[0, 262, 0.4, 0.5]],
  silent: [],
  evacuate: [], // the fire panel sounds, not we
};

const Sound = {
  context: null,
  voice: null,

  tone(name) {
    this.context = this.context || new AudioContext();
    if (this.context.state === "suspended") this.context.resume();
    for (const [start, hertz, seconds, loudness] of TONES[name] || []) {
      const at = this.context.currentTime + start;
      const source = this.context.createOscillator();
      const volume = this.context.createGain();
      source.frequency.value = hertz;
      volume.gain.setValueAtTime(0, at);
      volume.gain.linearRampToValueAtTime(loudness, at + 0.01);
      volume.gain.setValueAtTime(loudness, at + seconds - 0.02);
      volume.gain.linearRampToValueAtTime(0, at + seconds);
      source.connect(volume).connect(this.context.destination);
      source.start(at);
      source.stop(at + seconds);
    }
  },

  say(language, name) {
    if (this.voice) this.voice.pause();
    this.voice = new Audio("/voice/" + language + "/" + name + ".wav");
    this.voice.play().catch(() => {}); // no file, or no sound yet: the words are on the screen
  },
};
