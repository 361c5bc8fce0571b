// The listeners of the sending side, and whether anyone could hand mail over there, or everyone: of checkSending.

import type { Configuration, ListenerScope, ListenScope, Settings } from './configuration.ts';
import { evaluateListen } from './evaluate.ts';
import { type Fault, formatPlace, type Place } from './fault.ts';
import { formatListen, type ListenAddress } from './listen.ts';
import { isLoopback } from './networks.ts';
import type { Option } from './option.ts';
import { OPTIONS } from './options.ts';

export function checkListeners(configuration: Configuration): {
  readonly faults: readonly Fault[];
  readonly warnings: readonly Fault[];
} {
  const places = configuration.listeners.flatMap((listener) =>
    listener.listens.map((listen) => placeOf(configuration, listener, listen)),
  );
  return {
    faults: [...places.flatMap(tlsFaults), ...twice(places)],
    warnings: [...openRelays(configuration), ...places.flatMap(authWarnings)],
  };
}

interface ListeningPlace {
  readonly listen: ListenAddress;
  readonly place: Place;
  get<T>(option: Option<T>): T;
  /** Where an option is written for it, or the address itself. */
  at(option: Option<unknown>): Place;
}

function placeOf(configuration: Configuration, listener: ListenerScope, listen: ListenScope): ListeningPlace {
  const scopes = [listen.settings, listener.settings, configuration.global];
  return {
    listen: listen.listen,
    place: listen.place,
    get: (option) => evaluateListen(configuration, option, listener, listen),
    at: (option) =>
      scopes.map((settings) => settings.get(option.name)?.place).find((place) => place !== undefined) ??
      listen.place,
  };
}

function tlsFaults({ get, at }: ListeningPlace): readonly Fault[] {
  const certificate = get(OPTIONS.TLS_Certificate);
  const key = get(OPTIONS.TLS_Key);
  if (certificate !== undefined && key === undefined)
    return [fault(at(OPTIONS.TLS_Certificate), 'TLS_Certificate has no TLS_Key beside it', 'write both')];
  if (certificate === undefined && key !== undefined)
    return [fault(at(OPTIONS.TLS_Key), 'TLS_Key has no TLS_Certificate beside it', 'write both')];
  if (certificate === undefined && get(OPTIONS.TLS_Required)) {
    const message = 'TLS is required, and this listener has no certificate to offer it with';
    return [fault(at(OPTIONS.TLS_Required), message, 'write TLS_Certificate and TLS_Key')];
  }
  return [];
}

function twice(places: readonly ListeningPlace[]): readonly Fault[] {
  return places.flatMap(({ listen, place }, index) => {
    const before = places
      .slice(0, index)
      .find((other) => listen.port !== 0 && formatListen(other.listen) === formatListen(listen));
    if (before === undefined) return [];
    const message = `${formatListen(listen)} is listened at already (${formatPlace(before.place)})`;
    return [fault(place, message, 'take one of them out')];
  });
}

function authWarnings({ get, at, listen }: ListeningPlace): readonly Fault[] {
  const inTheOpen = listen.host !== undefined && listen.host !== 'localhost' && !isLoopback(listen.host);
  if (get(OPTIONS.Auth_Users) === undefined || get(OPTIONS.TLS_Certificate) !== undefined || !inTheOpen)
    return [];
  const message = 'nobody can authenticate from another machine: AUTH is offered over TLS';
  return [fault(at(OPTIONS.Auth_Users), message, 'write TLS_Certificate and TLS_Key')];
}

function openRelays({ global, listeners }: Configuration): readonly Fault[] {
  const scopes: readonly Settings[] = [
    global,
    ...listeners.flatMap(({ settings, listens }) => [settings, ...listens.map((listen) => listen.settings)]),
  ];
  return scopes.flatMap((settings) => {
    const setting = settings.get(OPTIONS.Relay_Hosts.name);
    const items = setting?.value.kind === 'list' ? setting.value.items : setting ? [setting.value] : [];
    return items.flatMap((item) =>
      item.kind === 'scalar' && /\/0+$/.test(item.text)
        ? [fault(item.place, `${item.text} lets the whole world relay`, 'name the networks of your MTAs')]
        : [],
    );
  });
}

function fault(place: Place, message: string, mend: string): Fault {
  return { place, message, mend };
}
