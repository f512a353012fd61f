// Which picture is shown where the page makes previews of its own beside the kernel's answers (studio/preview.js):
// that of the newer settings, and of equal settings the kernel's. So nothing jumps back while a slider is dragged.

const SAID_AFTER = 700, LATE_AFTER = 1000, ASKED = 100; // milliseconds, milliseconds, settings remembered
const BUSY_WORDS = "preview by the page: the kernel has not answered yet";
const GONE_WORDS = "preview by the page: the kernel is gone, run the cell again";

// six digits, as the kernel keeps them (`clean` in explorer.py): fewer would round twice
const named = (settings) => settings.map((value) => value.toPrecision(6)).join();

/** `changed()` is called when what is to be said has changed. */
function makeNewest(changed) {
  const asked = new Map(); // settings → how manieth they are
  let count = 0, answered = 0, previewed = 0, since = 0, heard = 0, gone = false, timers = [];

  function clear() {
    asked.clear();
    timers.forEach(clearTimeout);
    [timers, answered, gone] = [[], count, false];
  }

  const waits = () => answered < count;
  return {
    clear,
    waits,
    /** A slider was moved to these settings; `alive` says whether anything can reach the kernel. */
    ask({ settings, alive }) {
      if (!waits()) since = performance.now();
      asked.delete(named(settings));
      asked.set(named(settings), ++count);
      if (asked.size > ASKED) asked.delete(asked.keys().next().value);
      gone = !alive;
      timers.forEach(clearTimeout);
      timers = [SAID_AFTER, LATE_AFTER].map((wait) => setTimeout(changed, wait + 10));
      changed();
    },
    /** Whether the kernel's picture of these settings is to be shown. */
    takes(settings) {
      heard = performance.now();
      if (!waits()) return true;
      const number = settings.length ? asked.get(named(settings)) ?? 0 : count;
      if (number < Math.max(previewed, 1)) return false;
      answered = Math.max(answered, number);
      if (!waits()) clear();
      return true;
    },
    /** Whether the page's preview of these settings is to be shown. */
    previews(settings) {
      const number = asked.get(named(settings)) ?? 0;
      if (!waits() || number <= answered || number < previewed) return false;
      previewed = number;
      return true;
    },
    /** What to say of a picture that waits for the kernel; "" where it is quick. */
    words() {
      if (!waits()) return "";
      if (gone) return GONE_WORDS;
      const now = performance.now();
      if (now - Math.max(since, heard) > LATE_AFTER) return BUSY_WORDS;
      return now - since > SAID_AFTER ? "preview …" : "";
    },
    /** Whether the kernel has been silent for long. */
    late: () => waits() && (gone || performance.now() - Math.max(since, heard) > LATE_AFTER),
  };
}
