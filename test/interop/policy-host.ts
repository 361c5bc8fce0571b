// A host of MTA-STS policies (RFC 8461 §3.3): HTTPS on port 443 of its address, one policy for each domain.

import { once } from 'node:events';
import { createServer } from 'node:https';
import { createSecureContext } from 'node:tls';
import type { Certificate } from './certificates.ts';
import type { Lifetime } from './directory.ts';

export interface Published {
  readonly text: string;
  /** Shown to who asks for this domain's policy. */
  readonly certificate: Certificate;
}

export interface PolicyHost {
  /** Domains whose policy was asked for, in order. */
  readonly asked: readonly string[];
  /** Nobody listens any more. */
  close(): Promise<void>;
}

export async function startPolicyHost(
  lifetime: Lifetime,
  address: string,
  policies: Readonly<Record<string, Published>>,
): Promise<PolicyHost> {
  const asked: string[] = [];
  const server = createServer(
    {
      SNICallback(host, callback) {
        const published = policies[domainOf(host)];
        if (published === undefined) return callback(new Error(`nothing is known of ${host}`));
        const { certificate: cert, key } = published.certificate;
        callback(null, createSecureContext({ cert, key }));
      },
    },
    (request, response) => {
      const domain = domainOf(request.headers.host ?? '');
      asked.push(domain);
      const published = request.url === '/.well-known/mta-sts.txt' ? policies[domain] : undefined;
      response.writeHead(published === undefined ? 404 : 200, { 'content-type': 'text/plain' });
      response.end(published?.text);
    },
  );
  server.listen(443, address);
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  lifetime.defer(close);
  return { asked, close };
}

function domainOf(host: string): string {
  return host.replace(/^mta-sts\./, '').replace(/:\d+$/, '');
}
