// Asks again and again while somebody looks, more rarely while nobody answers.

const EVERY = 2000;
const LONGEST = 30000;

/**
 * Call `turn` every two seconds while the page is seen. Where it fails, `failed` is told since when nobody answers, when
 * the last answer came, and when the next try is.
 */
export function keepAsking(turn, failed) {
  let waiting = null;
  let wait = EVERY;
  let busy = false;
  let again = false;
  let lastAnswer = null;

  async function now() {
    clearTimeout(waiting);
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    try {
      await turn();
      lastAnswer = Date.now();
      wait = EVERY;
    } catch (error) {
      wait = Math.min(LONGEST, wait * 2);
      failed(error, lastAnswer, Date.now() + wait);
    }
    busy = false;
    clearTimeout(waiting);
    if (again) {
      again = false;
      wait = EVERY;
      waiting = setTimeout(now, 0);
    } else if (!document.hidden) waiting = setTimeout(now, wait);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(waiting) : now()));
  addEventListener("online", now);
  now();
  return now;
}
