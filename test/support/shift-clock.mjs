/*
 * For `node --import`: the process gets a clock that is wrong by CLOCK_SHIFT_MS. Tests use it to show that only the
 * database's clock decides.
 */
const shiftMs = Number(process.env.CLOCK_SHIFT_MS);
const RightDate = Date;

globalThis.Date = class ShiftedDate extends RightDate {
  constructor(...args) {
    if (args.length === 0) super(RightDate.now() + shiftMs);
    else super(...args);
  }

  static now() {
    return RightDate.now() + shiftMs;
  }
};
