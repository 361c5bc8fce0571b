// Sending MTAs set up as docs/senders/ tells, with what a test adds so that content reaches the sidecar as it was
// submitted: an MTA may break long lines or drop fields, which is its own affair.

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Lifetime, makeDirectory } from './directory.ts';
import { documentedSettings } from './documented.ts';
import { type Exim, startExim } from './exim.ts';
import { type Postfix, startPostfix } from './postfix.ts';

const SIDECAR_CONF = '/etc/delay-xfer/sidecar.conf';

/** The sidecar's configuration that both pages show, in a file. */
export async function documentedSidecar(lifetime: Lifetime): Promise<string> {
  const file = join(await makeDirectory(lifetime, 'sidecar'), 'sidecar.conf');
  await writeFile(file, documentedSettings('senders/postfix.md', [SIDECAR_CONF])(SIDECAR_CONF));
  return file;
}

export interface SenderOptions {
  readonly name: string;
  readonly port: number;
  readonly main?: Readonly<Record<string, string>>;
  /** Lines of main.cf behind the documented ones. */
  readonly moreMain?: string;
}

export async function startDocumentedPostfix(lifetime: Lifetime, options: SenderOptions): Promise<Postfix> {
  const [main, master] = ['/etc/postfix/main.cf', '/etc/postfix/master.cf'] as const;
  const told = documentedSettings('senders/postfix.md', [main, master]);
  return await startPostfix(lifetime, {
    name: options.name,
    address: '127.0.0.1',
    port: options.port,
    main: {
      smtp_line_length_limit: '0',
      message_drop_headers: '',
      always_add_missing_headers: 'no',
      remote_header_rewrite_domain: '',
      disable_mime_input_processing: 'yes',
      disable_mime_output_conversion: 'yes',
      header_size_limit: '10000000',
      ...options.main,
    },
    append: { 'main.cf': `${told(main)}${options.moreMain ?? ''}`, 'master.cf': told(master) },
  });
}

export interface EximSenderOptions {
  readonly name: string;
  readonly port: number;
  readonly queueRunSeconds?: number;
  /** Lines in front of the documented retry rules. */
  readonly retry?: string;
}

export async function startDocumentedExim(lifetime: Lifetime, options: EximSenderOptions): Promise<Exim> {
  const places = ['main section', 'first routers', 'routers', 'transports', 'retry'] as const;
  const [main, firstRouters, routers, transports, retry] = places;
  const told = documentedSettings('senders/exim.md', places);
  return await startExim(lifetime, {
    name: options.name,
    addresses: ['127.0.0.1'],
    port: options.port,
    main: `${told(main)}
return_path_remove = false
smtp_accept_queue_per_connection = 0
smtp_accept_max = 50
remote_max_parallel = 4
`,
    routers: `${told(firstRouters)}\n${told(routers)}`,
    transports: told(transports).replaceAll('driver = smtp\n', '$&  message_linelength_limit = 1000000\n'),
    retry: `${options.retry ?? ''}\n${told(retry)}\n*  *  F,4d,5m\n`,
    ...(options.queueRunSeconds !== undefined && { queueRunSeconds: options.queueRunSeconds }),
  });
}
