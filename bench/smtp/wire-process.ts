// The wire: relays between clients and sinks in a process of their own, so that their work is nobody's CPU time.

import { type Relay, startRelay } from '../distance.ts';
import { answerAll } from './child.ts';
import { type CourseCounter, createCourseCounter } from './course.ts';
import { wireQuestion } from './wire.ts';

const HERE = '127.0.0.1';

interface Line {
  readonly relay: Relay;
  counter: CourseCounter;
}

const lines = new Map<number, Line>();
let roundTripMs = 0;

answerAll(wireQuestion, async (question) => {
  switch (question.kind) {
    case 'lay': {
      const { sinkPort, bytesPerSecond } = question;
      const relay = await startRelay(
        { host: HERE, port: 0 },
        { host: HERE, port: sinkPort },
        () => roundTripMs,
        {
          observe: () => lineAt(relay.port).counter.connect(),
          ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
        },
      );
      lines.set(relay.port, { relay, counter: createCourseCounter(() => performance.now(), 1) });
      return relay.port;
    }
    case 'move':
      roundTripMs = question.roundTripMs;
      return roundTripMs;
    case 'watch': {
      const line = lineAt(question.port);
      // A connection that a client has kept is as far away as when it was made.
      line.relay.hangUp();
      line.counter = createCourseCounter(() => performance.now(), question.warm);
      return question.port;
    }
    case 'read':
      return lineAt(question.port).counter.read();
  }
});

function lineAt(port: number): Line {
  const line = lines.get(port);
  if (line === undefined) throw new Error(`there is no line at port ${port}`);
  return line;
}
