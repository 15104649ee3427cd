// Goes on as soon as every application has loaded its page. Without this file the
// browser goes on by itself after three seconds.
"use strict";

{
  let loaded = 0;
  let all = Infinity;
  const go = () => {
    if (loaded >= all) location.replace(document.querySelector("#next").href);
  };
  document.addEventListener("load", event => {
    if (event.target instanceof HTMLIFrameElement) {
      loaded++;
      go();
    }
  }, true);
  document.addEventListener("DOMContentLoaded", () => {
    all = document.querySelectorAll("iframe").length;
    go();
  });
}
