// Where a command writes. A reader that has seen enough (`| head`) ends the output, not the command: what comes
// after is dropped, and the exit status stays what it is.

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
}

interface Stream {
  write(text: string): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
}

export function terminalOn(out: Stream, err: Stream): Terminal {
  return { out: writerTo(out), err: writerTo(err) };
}

function writerTo(stream: Stream): (text: string) => void {
  let open = true;
  stream.on('error', (error) => {
    if (!('code' in error && error.code === 'EPIPE')) throw error;
    open = false;
  });
  return (text) => {
    if (open) stream.write(text);
  };
}
