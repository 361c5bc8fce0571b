// The routes of a hand-over, and whether what is sent there will be taken: of checkSending.

import ipaddr from 'ipaddr.js';
import type { Fault } from './fault.ts';
import type { HandOver } from './hand-overs.ts';
import { OPTIONS } from './options.ts';
import { formatXferRoute, type XferRoute } from './routes.ts';

/** `abc.execute-api.eu-west-1.amazonaws.com`: an Amazon API Gateway under its own name. */
const API_GATEWAY = /\.execute-api\.(?<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?$/i;
/** It gives up on a function after 30 s (quota "Maximum integration timeout" of an HTTP API). */
const API_GATEWAY_MS = 30_000;

export function routeFaults({ get, setting, method, told }: HandOver): readonly Fault[] {
  const written = setting(OPTIONS.Routes);
  const place = (written ?? method).place;
  const routes = get(OPTIONS.Routes);
  const transfers = routes.filter((route) => route.scheme === 'xfer');
  if (transfers.length === 0) {
    return [
      {
        place,
        message: `${told} hands mail over by HTTP, and has no xfer:// route`,
        mend: 'write Routes = ( "xfer://host?port=8080" )',
      },
    ];
  }
  const faults: Fault[] = [];
  if (transfers.length < routes.length) {
    const message = `${told} hands mail over by HTTP: its routes all begin with xfer://`;
    faults.push({ place, message, mend: 'take the others out' });
  }
  const basic = setting(OPTIONS.HTTP_Basic_Auth);
  const signed = transfers.filter(({ sigv4 }) => sigv4);
  if (basic !== undefined && signed.length > 0) {
    faults.push({
      place: basic.place,
      message: 'a request has one Authorization: a route with sigv4=1 signs it, and HTTP_Basic_Auth fills it',
      mend: 'take one of the two out',
    });
  }
  for (const route of signed) {
    if (route.region === undefined && !API_GATEWAY.test(route.host)) {
      const message = `the AWS region of ${route.host} is not known, for which its requests are signed`;
      faults.push({ place, message, mend: 'add &region=… to the route' });
    }
  }
  return faults;
}

export function routeWarnings(target: HandOver): readonly Fault[] {
  const { get, setting, method } = target;
  const place = (setting(OPTIONS.Routes) ?? method).place;
  const routes = get(OPTIONS.Routes).filter((route) => route.scheme === 'xfer');
  const first = new Map(routes.toReversed().map((route) => [formatXferRoute(route), route]));
  const twice = routes.filter((route) => first.get(formatXferRoute(route)) !== route);
  return [
    ...twice.map((route) => ({ place, message: `${formatXferRoute(route)} stands twice among the routes` })),
    ...routes.flatMap((route) => [...hostWarnings(target, route), ...secrecyWarnings(target, route)]),
    ...routes.filter(({ host }) => API_GATEWAY.test(host)).flatMap((route) => gatewayWarnings(target, route)),
  ];
}

/** A Host header that the other end does not know. */
function hostWarnings({ get, setting }: HandOver, route: XferRoute): readonly Fault[] {
  const host = get(OPTIONS.HTTP_HOST);
  const written = setting(OPTIONS.HTTP_HOST);
  if (host === undefined || written === undefined) return [];
  const name = host.replace(/:\d+$/, '').toLowerCase();
  const mend = 'take HTTP_HOST out, and the host of the route is sent';
  if (API_GATEWAY.test(route.host)) {
    if (name === route.host.toLowerCase()) return [];
    const message = `the API at ${route.host} answers 403 to HTTP_HOST = "${host}", and every message stays with its MTA`;
    return [{ place: written.place, message, mend }];
  }
  if (route.tls && name === 'localhost' && isPublic(route.host)) {
    const message = `HTTP_HOST = "localhost" is sent to ${route.host}, where few servers answer to that name`;
    return [{ place: written.place, message, mend }];
  }
  return [];
}

function secrecyWarnings({ setting, method }: HandOver, route: XferRoute): readonly Fault[] {
  if (route.tls || !isPublic(route.host) || API_GATEWAY.test(route.host)) return [];
  const place = (setting(OPTIONS.Routes) ?? method).place;
  const basic = setting(OPTIONS.HTTP_Basic_Auth);
  const what = basic === undefined ? 'mail' : 'mail, and the password of HTTP_Basic_Auth,';
  const message = `${what} can be read on its way to ${route.host}: the route has no TLS`;
  return [{ place, message, mend: 'add tls=1 to the route' }];
}

function gatewayWarnings({ get, setting, method }: HandOver, route: XferRoute): readonly Fault[] {
  const place = (setting(OPTIONS.Routes) ?? method).place;
  const warnings: Fault[] = [];
  if (!route.tls || route.port !== 443) {
    const message = `the API at ${route.host} answers on port 443, over TLS alone`;
    warnings.push({ place, message, mend: 'write port=443' });
  }
  const timeout = setting(OPTIONS.Delivery_Response_Timeout);
  const timeoutMs = get(OPTIONS.Delivery_Response_Timeout);
  if (timeout !== undefined && timeoutMs > API_GATEWAY_MS) {
    const message = `an API Gateway answers 503 after ${API_GATEWAY_MS} ms, so that waiting ${timeoutMs} ms gains nothing`;
    warnings.push({ place: timeout.place, message, mend: `write ${API_GATEWAY_MS - 1_000}` });
  }
  const basic = setting(OPTIONS.HTTP_Basic_Auth);
  if (basic === undefined && !route.sigv4) {
    const message = `nothing proves to the API at ${route.host} who hands mail over`;
    warnings.push({ place, message, mend: 'add sigv4=1 to the route, or HTTP_Basic_Auth' });
  }
  return warnings;
}

/** Whether others are on the way there: a name without a dot, or below a private top level, is a neighbour. */
function isPublic(host: string): boolean {
  if (ipaddr.isValid(host)) return ipaddr.process(host).range() === 'unicast';
  return (
    host.includes('.') &&
    !/\.(internal|local|lan|home|corp|intranet|localhost|test|invalid|example|arpa)\.?$/i.test(host)
  );
}
