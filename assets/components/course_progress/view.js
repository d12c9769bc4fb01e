// Keeps the course's progress in this browser. Told nothing, it says what it has; told a text, it writes that.
const NAME = "moe_viz_course";

export default function ({ data, setStateValue }) {
  if (data.text === null) setStateValue("told", read());
  else write(data.text);
}

// A browser that keeps nothing (private windows, blocked storage) has no progress, and the course works all the same.
function read() {
  try {
    return localStorage.getItem(NAME) ?? "";
  } catch {
    return "";
  }
}

function write(text) {
  try {
    if (localStorage.getItem(NAME) !== text) localStorage.setItem(NAME, text);
  } catch (error) {
    console.info("the course's progress is not kept:", String(error));
  }
}
