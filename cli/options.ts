// `delay-xfer options`: what the options of the configuration mean, out of the table that reads them.

import { OPTIONS_BY_NAME, type Option, type Scope } from '../shared/config/options.ts';
import { defaultText } from '../shared/config/trace.ts';
import { advice, type Command, EX_OK, table, UsageError } from './command.ts';

export const OPTIONS_COMMAND: Command = {
  name: 'options',
  operands: '[NAME…] [--side sending|receiving]',
  summary: 'says what the options of the configuration mean',
  text: `
Without NAME it lists every option with what it does; with NAME it says all there is to say about it. Names are read
without regard to case. docs/configuration.md has the same as a page.`,
  options: [
    {
      name: 'side',
      value: 'SIDE',
      choices: ['sending', 'receiving'],
      says: 'only options that count on this side',
    },
  ],
  async run(given, terminal) {
    const [side] = given.values('side');
    const rows = [...OPTIONS_BY_NAME.values()].filter(
      (option) => side === undefined || option.side === side || option.side === 'both' || option.attempt,
    );
    const named = given.operands.map((name) => {
      const option = OPTIONS_BY_NAME.get(name.toLowerCase());
      if (option === undefined) {
        const known = rows.map((row) => row.name);
        throw new UsageError(`no option is called ${name}${advice(name, known)}`);
      }
      return option;
    });
    if (named.length > 0) terminal.out(named.map(wholeText).join('\n'));
    else terminal.out(table(rows.map(({ name, meaning }) => [name, firstSentence(meaning)] as const)));
    return EX_OK;
  },
};

function wholeText(option: Option<unknown>): string {
  const { name, type, unit, scopes, side, meaning, momentum, deviation, withoutEffect } = option;
  const facts: readonly (readonly [string, string | undefined])[] = [
    ['takes', unit === undefined || type.takes.includes(unit) ? type.takes : `${type.takes} (${unit})`],
    ['default', defaultText(option)],
    ['stands', scopes.map((scope) => STANDS[scope]).join(', ')],
    ['side', side === 'both' ? 'sending and receiving' : side],
    ['in Momentum', momentum === undefined ? undefined : `default ${momentum}`],
    ['differs', deviation],
    ['without effect', typeof withoutEffect === 'string' ? withoutEffect : undefined],
    ['sending side', typeof withoutEffect === 'object' ? withoutEffect.sending : undefined],
    ['receiving side', typeof withoutEffect === 'object' ? withoutEffect.receiving : undefined],
  ];
  const rows = facts.flatMap(([fact, text]) => (text === undefined ? [] : [[fact, text] as const]));
  return `${name}\n  ${meaning}\n\n${table(rows)}`;
}

const STANDS: Readonly<Record<Scope, string>> = {
  global: 'at the top of a file',
  domain: 'in a Domain',
  binding: 'in a Binding or Binding_Group',
  host: 'in a Host',
  listener: 'in a listener or its Listen',
  script: 'in a Script',
};

function firstSentence(text: string): string {
  return /^.*?[.](?= |$)/.exec(text)?.[0] ?? text;
}
