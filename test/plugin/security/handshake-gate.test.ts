import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { HandshakeGate, type HandshakePlace } from '../../../plugin/security/handshake-gate.ts';
import { networkOf } from '../../../plugin/security/network-of.ts';
import { KeptLog } from '../../support/kept-log.ts';

const test = suite('the gate before authentication');

const LIMITS = {
  openMax: 4,
  openPerAddressMax: 2,
  openMsMax: 60_000,
  waitingMax: 3,
  waitingPerAddressMax: 2,
  waitMsMax: 60_000,
  wrongGuessMs: 40,
};

/** As much of a socket as the gate sees. */
class Stranger extends EventEmitter {
  readonly remoteAddress: string;
  place: HandshakePlace | null = null;
  isCut = false;

  constructor(remoteAddress: string) {
    super();
    this.remoteAddress = remoteAddress;
  }

  destroy(): void {
    if (this.isCut) return;
    this.isCut = true;
    this.emit('close');
  }

  get state(): 'in' | 'cut' | 'waits' {
    if (this.isCut) return 'cut';
    return this.place === null ? 'waits' : 'in';
  }
}

function arrive(gate: HandshakeGate, ...addresses: string[]): Stranger[] {
  return addresses.map((address) => {
    const stranger = new Stranger(address);
    gate.enter(stranger as unknown as Socket, (place) => {
      stranger.place = place;
    });
    return stranger;
  });
}

const states = (strangers: readonly Stranger[]): string[] => strangers.map(({ state }) => state);

test('few of one address are let in, the next wait, more are cut off; others do not suffer', () => {
  const log = new KeptLog();
  const gate = new HandshakeGate(log, LIMITS);
  const loud = arrive(gate, 'a', 'a', 'a', 'a', 'a');
  check.equal(states(loud), ['in', 'in', 'waits', 'waits', 'cut']);
  const others = arrive(gate, 'b', 'c', 'd', 'e');
  check.equal(states(others), ['in', 'in', 'waits', 'waits'], 'the whole listener is limited, too');
  check.equal(states(loud), ['in', 'in', 'waits', 'cut', 'cut'], 'who has most in the line makes way');
  check.equal(states(arrive(gate, 'f', 'a')), ['cut', 'cut'], 'unless nobody has more than one');
  check.is(gate.refusedCount, 4);
  check.is(gate.waitingCount, 3);
  check.match(log.text, /too many connections that have not shown who they are/);
  check.is(log.lines.length, 1, 'strangers do not decide how much is logged');
});

test('who has shown who it is makes room for the next that its own address does not hold up', () => {
  const gate = new HandshakeGate(new KeptLog(), LIMITS);
  const strangers = arrive(gate, 'a', 'a', 'a', 'b', 'b', 'c');
  check.equal(states(strangers), ['in', 'in', 'waits', 'in', 'in', 'waits']);
  strangers[3]?.place?.leave();
  strangers[3]?.place?.leave();
  check.equal(states(strangers), ['in', 'in', 'waits', 'in', 'in', 'in'], '`a` has its share');
  strangers[0]?.destroy();
  check.is(strangers[2]?.state, 'in');
  check.is(gate.openCount, 4);
  for (const stranger of strangers) stranger.destroy();
  check.is(gate.openCount + gate.waitingCount, 0);
});

test('addresses take turns: who has many in the line does not keep one of another address behind them', () => {
  const limits = { ...LIMITS, openMax: 2, waitingMax: 10, waitingPerAddressMax: 5 };
  const gate = new HandshakeGate(new KeptLog(), limits);
  const inside = arrive(gate, 'x', 'y');
  const loud = arrive(gate, 'a', 'a', 'a', 'a');
  const late = arrive(gate, 'b', 'c');
  inside[0]?.place?.leave();
  check.equal(states(loud), ['in', 'waits', 'waits', 'waits']);
  inside[1]?.place?.leave();
  check.equal(states(late), ['in', 'waits']);
  loud[0]?.place?.leave();
  check.equal(states(late), ['in', 'in']);
  late[0]?.place?.leave();
  check.equal(states(loud), ['in', 'in', 'waits', 'waits'], 'its turn comes again, in its own order');
  check.is(gate.waitingCount, 2);
  gate.close();
  check.is(gate.openCount + gate.waitingCount, 0);
});

test('a few addresses that fill the line with guesses do not keep an honest one out', async () => {
  const limits = { ...LIMITS, waitingMax: 30, waitingPerAddressMax: 20, wrongGuessMs: 5 };
  const gate = new HandshakeGate(new KeptLog(), limits);
  const guessers = ['a', 'b', 'c'];
  const isGuessing = { value: true };
  const guess = (address: string): void => {
    const stranger = new Stranger(address);
    // Each guess is followed by the next, on a new connection.
    stranger.once('close', () => isGuessing.value && setImmediate(guess, address));
    gate.enter(stranger as unknown as Socket, (place) => {
      place.keepForWrongGuess();
      setImmediate(() => stranger.destroy());
    });
  };
  for (let n = 0; n < 60; n++) guess(guessers[n % 3] as string);
  await delay(10);
  const [honest] = arrive(gate, 'honest');
  for (let n = 0; n < 100 && honest?.state === 'waits'; n++) await delay(2);
  isGuessing.value = false;
  check.is(honest?.state, 'in');
  gate.close();
});

test('a place is kept for a while after a wrong guess, whatever becomes of the connection', async () => {
  const gate = new HandshakeGate(new KeptLog(), LIMITS);
  const strangers = arrive(gate, 'a', 'a', 'a', 'a');
  strangers[0]?.place?.keepForWrongGuess();
  strangers[0]?.destroy();
  check.equal(states(strangers), ['cut', 'in', 'waits', 'waits']);
  strangers[1]?.place?.leave();
  check.equal(states(strangers), ['cut', 'in', 'in', 'waits'], 'who has guessed nothing leaves at once');
  await delay(60);
  check.equal(states(strangers), ['cut', 'in', 'in', 'in']);
  strangers[3]?.place?.keepForWrongGuess();
  gate.close();
  check.is(gate.openCount + gate.waitingCount, 0, 'closing waits for nobody');
});

test('all addresses of an IPv6 /64 are one', () => {
  check.is(networkOf('2001:db8:0:7::1'), '2001:db8:0:7::/64');
  check.is(networkOf('2001:db8::7:1:2:3:4'), '2001:db8:0:7::/64');
  check.is(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64');
  check.is(networkOf('::1'), '0:0:0:0::/64');
  check.is(networkOf('1:2:3:4:5:6:7:8'), '1:2:3:4::/64');
  check.is(networkOf('::ffff:192.0.2.1'), '192.0.2.1');
  check.is(networkOf('192.0.2.1'), '192.0.2.1');
  const gate = new HandshakeGate(new KeptLog(), LIMITS);
  const strangers = arrive(gate, '2001:db8::1', '2001:db8::2', '2001:db8::3', '2001:db8:0:1::1');
  check.equal(states(strangers), ['in', 'in', 'waits', 'in']);
  gate.close();
});

test('a waiting one that goes away is forgotten', () => {
  const gate = new HandshakeGate(new KeptLog(), LIMITS);
  const [first, second, third, fourth] = arrive(gate, 'a', 'a', 'a', 'a');
  third?.destroy();
  first?.place?.leave();
  check.is(fourth?.state, 'in');
  check.is(third?.place, null);
  second?.place?.leave();
  fourth?.place?.leave();
});

test('who says nothing is cut off after its time, inside and in the line', async () => {
  const gate = new HandshakeGate(new KeptLog(), { ...LIMITS, openMsMax: 40, waitMsMax: 10 });
  const strangers = arrive(gate, 'a', 'a', 'a');
  const known = arrive(gate, 'b')[0] as Stranger;
  known.place?.leave();
  await delay(25);
  check.equal(states(strangers), ['in', 'in', 'cut']);
  await delay(60);
  check.equal(states(strangers), ['cut', 'cut', 'cut']);
  check.is(known.state, 'in', 'whoever has shown who it is stays');
  check.is(gate.refusedCount, 1);
  check.is(gate.expiredCount, 2);
});

test.run();
