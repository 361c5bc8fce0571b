// In which order the routes of `Routes` are tried: by pref, lower first, equal ones in random order; a route
// without one comes after all that stand before it in the list.

import type { SmtpRoute } from '../config/routes.ts';
import { shuffled } from './shuffle.ts';

/** `random` is not asked where nothing is to be decided. */
export function inOrderOfPref(routes: readonly SmtpRoute[], random: () => number): readonly SmtpRoute[] {
  if (routes.length < 2) return routes;
  let highest = -1;
  const ranked = routes.map((route, at) => {
    if (route.pref === undefined) return { route, pref: highest, after: at + 1 };
    highest = Math.max(highest, route.pref);
    return { route, pref: route.pref, after: 0 };
  });
  return shuffled(ranked, random)
    .sort((a, b) => a.pref - b.pref || a.after - b.after)
    .map(({ route }) => route);
}
